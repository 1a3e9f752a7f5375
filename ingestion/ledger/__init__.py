"""The conservation ledger, `okr lake verify`: nothing is missing and nothing is double, from the broker to `raw`."""

from ingestion.ledger.verify import Ledger, TopicLedger, record, verify

__all__ = ["Ledger", "TopicLedger", "record", "verify"]
