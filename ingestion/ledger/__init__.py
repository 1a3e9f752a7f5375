"""The ledger, `okr lake verify`: prove that from the broker to `raw` no event is missing and none is duplicated."""

from ingestion.ledger.counts import Ledger, PartitionLedger, TopicLedger
from ingestion.ledger.record import record
from ingestion.ledger.verify import verify

__all__ = ["Ledger", "PartitionLedger", "TopicLedger", "record", "verify"]
