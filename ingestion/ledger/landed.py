"""What the lake holds of a topic: each partition's offsets and the transaction version that goes with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ingestion.landing.consumer import GROUP
from lakehouse.errors import RetryableError
from lakehouse.lake import application_id, open_table, table_uri

if TYPE_CHECKING:
    import numpy as np
    from deltalake import DeltaTable

MOST_PARTITIONS = 256  # partitions without rows are asked for their transaction up to this number


@dataclass(frozen=True)
class LandedPartition:
    """Offsets in no order, which of them are rejected, and the next offset to read (None: nothing was committed)."""

    offsets: "np.ndarray"
    is_rejected: "np.ndarray"
    next_offset: int | None

    @classmethod
    def empty(cls) -> Self:
        """Return a partition of which nothing ever landed."""
        import numpy as np

        return cls(np.empty(0, np.int64), np.empty(0, np.bool_), None)


def read_landed(lake_uri: str, topic: str) -> dict[int, LandedPartition]:
    """Read a landing table's newest snapshot, by partition.

    Raises:
        RetryableError: the table cannot be read.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError

    uri = table_uri(lake_uri, topic)
    try:
        return _read(open_table(uri), topic)
    except TableNotFoundError:
        return {}
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error


def _read(table: "DeltaTable", topic: str) -> dict[int, LandedPartition]:
    import polars as pl

    rows = pl.scan_delta(table).select("kafka_partition", "kafka_offset", pl.col("rejection_reason").is_not_null())
    columns = rows.collect()
    partitions, offsets, is_rejected = (columns[name].to_numpy() for name in columns.columns)
    versions = _transaction_versions(table, topic)
    landed = {}
    for partition in {*versions, *map(int, set(partitions))}:
        here = partitions == partition
        landed[partition] = LandedPartition(offsets[here], is_rejected[here], versions.get(partition))
    return landed


def _transaction_versions(table: "DeltaTable", topic: str) -> dict[int, int]:
    cluster_id = table.metadata().description
    found = {
        partition: table.transaction_version(application_id(cluster_id, GROUP, topic, partition))
        for partition in range(MOST_PARTITIONS)
    }
    return {partition: version for partition, version in found.items() if version is not None}
