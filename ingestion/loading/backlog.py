"""Count landed rows at or beyond given offsets. Rejected rows count, too, because `load` advances past them."""

from collections.abc import Mapping

from ingestion.loading.pending import Watermarks, find_pending
from lakehouse.settings import Settings


def backlog_rows(settings: Settings, topic: str, offsets: Mapping[int, int]) -> int:
    """Return the number of landed rows of a topic at or beyond the offsets (all rows if a partition has no offset).

    Raises:
        RetryableError: the lake cannot be read.
    """
    pending = find_pending(settings.require("lake_uri"), topic, Watermarks(dict(offsets)))
    return sum(batch.num_rows for batch in pending.batches(("kafka_partition", "kafka_offset")))
