"""Read a topic's landed offsets and transaction version by partition from the lake.

This uses polars and the Delta log instead of the loader's code, so that a bug in the loader cannot hide from the check.
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
    """Counts of one partition's rows, its valid rows below and beyond the load watermark, and the next offset to read.

    `next_offset` is None if nothing was ever committed.
    """

    next_offset: int | None = None
    rows: int = 0
    rejected: int = 0
    valid_loaded: int = 0
    valid_loaded_sum: int = 0
    valid_waiting: int = 0
    offsets: Tally = field(default_factory=Tally)

    def add(self, offsets: "np.ndarray", is_rejected: "np.ndarray", watermark: int) -> None:
        """Count rows."""
        valid = offsets[~is_rejected]
        loaded = valid[valid < watermark]
        self.rows += len(offsets)
        self.rejected += int(is_rejected.sum())
        self.valid_loaded += len(loaded)
        self.valid_loaded_sum += int(loaded.sum())
        self.valid_waiting += len(valid) - len(loaded)
        self.offsets.add(offsets)


def read_landed(
    lake_uri: str, topic: str, watermarks: Mapping[int, int], known: Collection[int] = ()
) -> dict[int, LandedPartition]:
    """Read a landing table's newest snapshot by partition, in batches; this takes one byte of memory per offset.

    The result includes each partition that has rows, and each partition in `watermarks` (the load's) or `known` (the
    broker's partitions) that has a transaction.

    Raises:
        RetryableError: the table cannot be read.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError
    from polars.exceptions import PolarsError

    uri = table_uri(lake_uri, topic)
    try:
        return _read(open_table(uri), topic, watermarks, known)
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
    table: "DeltaTable", topic: str, watermarks: Mapping[int, int], known: Collection[int]
) -> dict[int, LandedPartition]:
    import numpy as np
    import polars as pl

    landed: dict[int, LandedPartition] = {}
    rows = pl.scan_delta(table).select("kafka_partition", "kafka_offset", pl.col("rejection_reason").is_not_null())
    for batch in rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=False):
        partitions, offsets, is_rejected = (batch[name].to_numpy() for name in batch.columns)
        for partition in map(int, np.unique(partitions)):
            own = partitions == partition
            counts = landed.setdefault(partition, LandedPartition())
            counts.add(offsets[own], is_rejected[own], watermarks.get(partition, 0))
    log_id = table.metadata().description
    for partition in {*landed, *watermarks, *known}:
        version = table.transaction_version(application_id(log_id, LANDING_GROUP, topic, partition))
        if version is not None:
            landed.setdefault(partition, LandedPartition()).next_offset = version
    return landed
