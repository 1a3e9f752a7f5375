"""What the lake holds beyond given offsets, by the same rule as `load`: rejected rows count, for they move it, too."""

from collections.abc import Mapping

from ingestion.loading.pending import Watermarks, find_pending
from lakehouse.settings import Settings


def backlog_rows(settings: Settings, topic: str, offsets: Mapping[int, int]) -> int:
    """Return how many landed rows of a topic lie at or beyond the offsets (all of a partition that has none).

    Raises:
        RetryableError: the lake cannot be read.
    """
    pending = find_pending(settings.require("lake_uri"), topic, Watermarks(dict(offsets)))
    return sum(batch.num_rows for batch in pending.batches(("kafka_partition", "kafka_offset")))
