"""What the lake holds of a topic: each partition's offsets and the transaction version that goes with them.

Read by polars through the Delta log alone, not by the code that loads: a proof must not share the faults of what it
proves.
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
    """Rows of one partition; those that are good, below the load watermark and not; the next offset to read.

    `next_offset` is None where nothing was ever committed.
    """

    next_offset: int | None = None
    rows: int = 0
    rejected: int = 0
    good_loaded: int = 0
    good_loaded_sum: int = 0
    good_waiting: int = 0
    offsets: Tally = field(default_factory=Tally)

    def add(self, offsets: "np.ndarray", is_rejected: "np.ndarray", watermark: int) -> None:
        """Take note of rows."""
        good = offsets[~is_rejected]
        loaded = good[good < watermark]
        self.rows += len(offsets)
        self.rejected += int(is_rejected.sum())
        self.good_loaded += len(loaded)
        self.good_loaded_sum += int(loaded.sum())
        self.good_waiting += len(good) - len(loaded)
        self.offsets.add(offsets)


def read_landed(
    lake_uri: str, topic: str, watermarks: Mapping[int, int], known: Collection[int] = ()
) -> dict[int, LandedPartition]:
    """Read a landing table's newest snapshot, by partition, batch by batch; a byte an offset stays in memory.

    A partition has an account where it has rows, or where one of `watermarks` (of the load) or `known` (by the broker)
    names it and it has a transaction.

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
    """Return the log whose offsets a landing table holds, None where there is no table."""
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
            here = partitions == partition
            account = landed.setdefault(partition, LandedPartition())
            account.add(offsets[here], is_rejected[here], watermarks.get(partition, 0))
    log_id = table.metadata().description
    for partition in {*landed, *watermarks, *known}:
        version = table.transaction_version(application_id(log_id, LANDING_GROUP, topic, partition))
        if version is not None:
            landed.setdefault(partition, LandedPartition()).next_offset = version
    return landed
