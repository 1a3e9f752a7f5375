"""Count landed rows at or beyond given offsets. Rejected rows are included, because `load` advances past them, too."""

from collections.abc import Mapping

from ingestion.loading.pending import Watermarks, find_pending
from lakehouse.settings import Settings


def backlog_rows(settings: Settings, topic: str, offsets: Mapping[int, int]) -> int:
    """Return the number of a topic's landed rows at or beyond the offsets.

    All rows of a partition without an offset are counted.

    Raises:
        RetryableError: the lake cannot be read.
    """
    pending = find_pending(settings.require("lake_uri"), topic, Watermarks(dict(offsets)))
    return sum(batch.num_rows for batch in pending.batches(("kafka_partition", "kafka_offset")))
