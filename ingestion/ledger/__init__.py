"""The ledger, `okr lake verify`: prove that no event is missing or duplicated from the broker to `raw`."""

from ingestion.ledger.record import record
from ingestion.ledger.result import Ledger, PartitionLedger, TopicLedger
from ingestion.ledger.verify import verify

__all__ = ["Ledger", "PartitionLedger", "TopicLedger", "record", "verify"]
