"""Select the files of a landing table that may contain wanted offsets, and read the wanted rows in batches.

Files are selected by the statistics in the Delta log. Rows are selected by their own offsets, because a compacted file
can span the watermark.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.lake import PARTITION_COLUMN, landing_schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from deltalake import DeltaTable

BATCH_ROWS = 20_000
BATCH_MEGABYTES = 8.0  # of uncompressed rows; a single event may take a megabyte
MAX_OFFSET = 2**63 - 1
POSITION = ("kafka_partition", "kafka_offset")


@dataclass(frozen=True)
class Wanted:
    """Offsets at or beyond a partition's watermark (all offsets if it has none), and below `end_offsets` if given.

    If `end_offsets` is given but does not name a partition, no offset of that partition is wanted.
    """

    watermarks: Mapping[int, int]
    end_offsets: Mapping[int, int] | None = None

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the first wanted offset of a partition and the end of the wanted range, exclusive."""
        end = MAX_OFFSET if self.end_offsets is None else self.end_offsets.get(partition, 0)
        return self.watermarks.get(partition, 0), end

    def mask(self, partitions: "np.ndarray", offsets: "np.ndarray") -> "np.ndarray":
        """Return a Boolean mask of the wanted rows."""
        import numpy as np

        lows, ends = zip(*(self.bounds(number) for number in range(int(partitions.max(initial=0)) + 1)), strict=True)
        wanted: np.ndarray = (offsets >= np.array(lows)[partitions]) & (offsets < np.array(ends)[partitions])
        return wanted


@dataclass(frozen=True)
class Extent:
    """The smallest and largest partition and offset of a set of rows. Without statistics, all values are possible."""

    partitions: range | None = None
    first_offset: int = 0
    last_offset: int = MAX_OFFSET

    def may_include(self, wanted: Wanted) -> bool:
        """Return whether any of the rows may be wanted."""
        if self.partitions is None:
            return True
        bounds = map(wanted.bounds, self.partitions)
        return any(self.last_offset >= low and self.first_offset < end for low, end in bounds)


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of the current snapshot."""

    path: str
    day: date
    extent: Extent


def files_of(table: "DeltaTable", uri: str, wanted: Wanted) -> list[LakeFile]:
    """Return the files that may contain wanted rows, roughly in log order, so that indexes grow at their ends."""
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    files = [_lake_file(uri, each) for each in actions]
    wanted_files = [each for each in files if each.extent.may_include(wanted)]
    return sorted(wanted_files, key=lambda each: (each.extent.first_offset, each.day))


def _lake_file(uri: str, action: Mapping[str, Any]) -> LakeFile:
    extent = _extent(*(action.get(f"{end}.{name}") for name in POSITION for end in ("min", "max")))
    path = action["path"]
    # For local tables, delta-rs escapes file names in its log (a space becomes %20), but not on the disk.
    return LakeFile(
        path if "://" in path else f"{uri}/{unquote(path)}", action[f"partition.{PARTITION_COLUMN}"], extent
    )


def read_files(files: Sequence[LakeFile], wanted: Wanted, columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
    """Yield the wanted rows file by file, in batches of limited size. The rows of a file keep their order.

    `columns` are columns of the landing schema. A column that a file lacks is null in the rows of that file.

    Raises:
        RetryableError: a file cannot be read.
        PermanentError: a file is not a valid Parquet file.
    """
    import pyarrow as pa

    schema = pa.schema([landing_schema().field(name) for name in columns])
    for file in files:
        try:
            yield from _read_file(file, wanted, schema)
        except OSError as error:
            raise RetryableError(f"The lake file {file.path} cannot be read: {error}. Is the disk mounted?") from error
        except pa.ArrowInvalid as error:
            raise PermanentError(
                f"The lake file {file.path} is damaged: {error}. Restore it before you load."
            ) from error


def _read_file(file: LakeFile, wanted: Wanted, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow.parquet as pq
    from pyarrow.fs import FileSystem

    filesystem, path = FileSystem.from_uri(file.path) if "://" in file.path else (None, file.path)
    with pq.ParquetFile(path, filesystem=filesystem) as parquet:
        groups = [
            number for number in range(parquet.num_row_groups) if _group_extent(parquet, number).may_include(wanted)
        ]
        present = [name for name in schema.names if name in parquet.schema_arrow.names]
        size = _batch_rows(parquet)
        for batch in parquet.iter_batches(size, row_groups=groups, columns=present, use_threads=False):
            mask = wanted.mask(batch["kafka_partition"].to_numpy(), batch["kafka_offset"].to_numpy())
            kept = batch if mask.all() else batch.filter(mask)
            if kept.num_rows:
                yield _in_schema(kept, file.day, schema)


def _batch_rows(parquet: Any) -> int:
    """Return a number of rows per batch that keeps batches within BATCH_MEGABYTES."""
    metadata = parquet.metadata
    uncompressed_bytes = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    rows_that_fit = BATCH_MEGABYTES * 1e6 * metadata.num_rows / max(uncompressed_bytes, 1)
    return max(1, min(BATCH_ROWS, int(rows_that_fit)))


def _group_extent(parquet: Any, group: int) -> Extent:
    """Return the extent of a row group, from its statistics."""
    metadata = parquet.metadata.row_group(group)
    names = [metadata.column(number).path_in_schema for number in range(metadata.num_columns)]
    found = [metadata.column(names.index(name)).statistics for name in POSITION]
    if any(each is None or not each.has_min_max for each in found):
        return Extent()
    return _extent(*(bound for each in found for bound in (each.min, each.max)))


def _extent(
    first_partition: int | None, last_partition: int | None, first_offset: int | None, last_offset: int | None
) -> Extent:
    if first_partition is None or last_partition is None or first_offset is None or last_offset is None:
        return Extent()
    return Extent(range(first_partition, last_partition + 1), first_offset, last_offset)


def _in_schema(batch: "pa.RecordBatch", day: date, schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    def column(field: "pa.Field") -> Any:
        if field.name == PARTITION_COLUMN:
            return pa.repeat(pa.scalar(day, field.type), batch.num_rows)
        if field.name not in batch.schema.names:
            return pa.nulls(batch.num_rows, field.type)
        array = batch[field.name]
        return array if array.type == field.type else array.cast(field.type)

    return pa.record_batch([column(field) for field in schema], schema=schema)
