"""The conservation ledger, `okr lake verify`: nothing is missing and nothing is double, from the broker to `raw`."""

from ingestion.ledger.counts import Ledger, PartitionLedger, TopicLedger
from ingestion.ledger.record import record
from ingestion.ledger.verify import verify

__all__ = ["Ledger", "PartitionLedger", "TopicLedger", "record", "verify"]
