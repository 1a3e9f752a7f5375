"""Read a topic's landed offsets and transaction versions from the lake, by partition.

This uses polars and the Delta log instead of the loader's code, so that a bug in the loader cannot also be in the
check.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingestion.consumer_groups import LANDING_GROUP
from ingestion.ledger.offsets import Tally
from lakehouse.errors import RetryableError
from lakehouse.lake import application_id, open_table, table_uri

if TYPE_CHECKING:
    import numpy as np
    from deltalake import DeltaTable

BATCH_ROWS = 100_000


@dataclass
class LandedPartition:
    """Row counts of one partition: in total, rejected, and valid on each side of the load watermark.

    `next_offset` is the next offset to read, or None if nothing was ever committed.
    """

    next_offset: int | None = None
    rows: int = 0
    rejected: int = 0
    valid_loaded: int = 0
    valid_loaded_sum: int = 0
    valid_waiting: int = 0
    offsets: Tally = field(default_factory=Tally)

    def add(self, offsets: "np.ndarray", is_rejected: "np.ndarray", watermark: int, pruned_end: int = 0) -> None:
        """Add rows to the counts, except rows with pruned offsets, which stay in files that also have newer rows."""
        if pruned_end:
            kept = offsets >= pruned_end
            offsets, is_rejected = offsets[kept], is_rejected[kept]
        valid = offsets[~is_rejected]
        loaded = valid[valid < watermark]
        self.rows += len(offsets)
        self.rejected += int(is_rejected.sum())
        self.valid_loaded += len(loaded)
        self.valid_loaded_sum += int(loaded.sum())
        self.valid_waiting += len(valid) - len(loaded)
        self.offsets.add(offsets)


def read_landed(
    lake_uri: str, topic: str, watermarks: Mapping[int, int], known: Collection[int] = (), *, pruned: Mapping[int, int]
) -> dict[int, LandedPartition]:
    """Count the rows of a landing table's newest snapshot by partition, from the offsets in `pruned` on.

    The snapshot is read in batches. The counts take one byte of memory per offset. The result includes every partition
    that has rows. It also includes the partitions in `watermarks` (from the load) and `known` (from the broker) that
    have a transaction.

    Raises:
        RetryableError: the table cannot be read.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError
    from polars.exceptions import PolarsError

    uri = table_uri(lake_uri, topic)
    try:
        return _read(open_table(uri), topic, watermarks, known, pruned)
    except TableNotFoundError:
        return {}
    except (DeltaError, PolarsError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error


def landed_log(lake_uri: str, topic: str) -> str | None:
    """Return the id of the log that a landing table's offsets belong to, or None if there is no table."""
    from deltalake.exceptions import TableNotFoundError

    try:
        log_id: str | None = open_table(table_uri(lake_uri, topic)).metadata().description
    except TableNotFoundError:
        return None
    return log_id


def _read(
    table: "DeltaTable",
    topic: str,
    watermarks: Mapping[int, int],
    known: Collection[int],
    pruned: Mapping[int, int],
) -> dict[int, LandedPartition]:
    import numpy as np
    import polars as pl

    landed: dict[int, LandedPartition] = {}
    rows = pl.scan_delta(table).select("kafka_partition", "kafka_offset", pl.col("rejection_reason").is_not_null())
    for batch in rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=False):
        partitions, offsets, is_rejected = (batch[name].to_numpy() for name in batch.columns)
        for partition in map(int, np.unique(partitions)):
            in_partition = partitions == partition
            counts = landed.setdefault(partition, LandedPartition())
            end = pruned.get(partition, 0)
            counts.add(offsets[in_partition], is_rejected[in_partition], watermarks.get(partition, 0), end)
    log_id = table.metadata().description
    for partition in {*landed, *watermarks, *known}:
        version = table.transaction_version(application_id(log_id, LANDING_GROUP, topic, partition))
        if version is not None:
            landed.setdefault(partition, LandedPartition()).next_offset = version
    return landed
