"""Joining small files, in two sizes, so that a file is rewritten about twice before it is settled.

Every run joins a day's small files to files of 4 MB; only when a day has 5 of those are they joined to 20 MB. (One size
alone would rewrite today's growing file at every run.) The rule looks at sizes and not at dates: today's files are
joined like those of a day long past. A day keeps at least one file, so that two years of a small organisation's history
are about 700 files: to read them all costs 0.2 s more than to read one.

The files are those of landing, its rows in the order of the log, flushed to the disk before they are committed.

Why not deltalake's own `optimize.compact`: it commits on a newer snapshot than the one it read, and its conflict check
passes over files that are moved rather than changed. Two at once each bring their copy of the rows (16 of them, in
tests/faults), and no lock can promise that there is only one: a process may hang, lose its lock, and wake up. So a
merge is fenced as landing is, by a transaction of its own on the snapshot that it read: of two, one fails.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ingestion.delta.fsync import sync
from ingestion.landing.parquet_files import write_files
from lakehouse.errors import RetryableError
from lakehouse.lake import PARTITION_COLUMN, cause
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

log = get_logger(__name__)

# This id is in the Delta log of every lake. It predates the name of this package, and stays: with another one, an
# older version and this one could compact the same files at the same time, and neither would notice.
APPLICATION = "okr-upkeep"
SMALL_BYTES = 4_000_000
LARGE_BYTES = 20_000_000  # half a million events, 0.7 GB while they are joined
MIN_MEDIUM_FILES = 5
BINS_OF_A_COMMIT = 100
ATTEMPTS = 3
COMMIT_RETRIES = 100  # against appends, which are no conflict but take the version
LONGEST_MERGE_SECONDS = 3600.0  # the retention is two days at least

File = dict[str, Any]  # an add action, flattened


def compact(table: "DeltaTable", uri: str) -> tuple[int, int]:
    """Join small files; return how many were replaced, and by how many.

    Raises:
        RetryableError: another merge did the same meanwhile, again and again.
        deltalake.exceptions.DeltaError, OSError: the lake cannot be read or written; what is there stays as it is.
    """
    for attempt in itertools.count(1):
        try:
            large = _compact_range(table, uri, SMALL_BYTES, LARGE_BYTES, MIN_MEDIUM_FILES)
            small = _compact_range(table, uri, 0, SMALL_BYTES, 2)
        except CompactionConflict as error:
            log.warning("a merge lost against another, nothing was changed", attempt=attempt, error=str(error))
            if attempt == ATTEMPTS:
                raise
        else:
            return large[0] + small[0], large[1] + small[1]
    raise AssertionError("unreachable")


class CompactionConflict(RetryableError):
    """Another merge was committed since this one read the table: this one's files are thrown away."""


def fence(table: "DeltaTable") -> None:
    """Make every merge fail that read the table before now: its files may be deleted from here on.

    Raises:
        CompactionConflict: another one fenced at the same time.
    """
    _commit(table, [], [])


def _compact_range(table: "DeltaTable", uri: str, least_bytes: int, target_bytes: int, files: int) -> tuple[int, int]:
    """Join what is at least so large and below the target, of days that have at least so many of them."""
    bins = _bins(table, least_bytes, target_bytes, files)
    replaced = made = 0
    while chunk := list(itertools.islice(bins, BINS_OF_A_COMMIT)):
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        adds = [each for day, group in chunk for each in _rewrite(table, uri, day, group)]
        removes = [_remove(day, file) for day, group in chunk for file in group]
        if "://" not in uri:
            sync(Path(uri) / each.path for each in adds)
        if time.clock_gettime(time.CLOCK_BOOTTIME) - begun > LONGEST_MERGE_SECONDS:
            raise CompactionConflict("It took so long that a vacuum may have deleted its files.")
        _commit(table, adds, removes)
        replaced, made = replaced + len(removes), made + len(adds)
    return replaced, made


def _bins(table: "DeltaTable", least_bytes: int, target_bytes: int, files: int) -> Iterator[tuple[date, list[File]]]:
    """Give groups of files of one day, in the order of their offsets, each just as large as the target or smaller."""
    days = defaultdict(list)
    for file in table.get_add_actions(flatten=True).to_struct_array().to_pylist():
        if least_bytes <= file["size_bytes"] < target_bytes:
            days[file[f"partition.{PARTITION_COLUMN}"]].append(file)
    for day, found in sorted(days.items()):
        if len(found) < files:
            continue
        group: list[File] = []
        for file in sorted(found, key=lambda file: (file.get("min.kafka_offset") or 0, file["path"])):
            group.append(file)
            if sum(each["size_bytes"] for each in group) >= target_bytes:
                yield from [(day, group)] if len(group) > 1 else []
                group = []
        if len(group) > 1:
            yield day, group


def _rewrite(table: "DeltaTable", uri: str, day: date, group: Sequence[File]) -> "list[AddAction]":
    """Write the rows of some files of a day as landing writes a batch."""
    import pyarrow as pa

    rows = _read(table, [f"{uri}/{unquote(file['path'])}" for file in group])
    if rows.num_rows != sum(file["num_records"] for file in group):
        raise RetryableError(f"The files of {day} hold other numbers of rows than {uri} tells. Nothing was changed.")
    dated = rows.append_column(pa.field(PARTITION_COLUMN, pa.date32()), pa.repeat(pa.scalar(day), rows.num_rows))
    return [replace(each, data_change=False) for each in write_files(dated, uri)]


def _read(table: "DeltaTable", paths: list[str]) -> "pa.Table":
    """Read files, in the order of the log; a column that the table got after one of them was written is null there.

    By polars: a thousand small files in 0.2 s, for which pyarrow takes a second.
    """
    import polars as pl
    import pyarrow as pa

    known = pa.schema(table.schema().to_arrow())
    schema = known.remove(known.get_field_index(PARTITION_COLUMN))
    frame: Any = pl.from_arrow(schema.empty_table())
    options: dict[str, Any] = {"missing_columns": "insert", "hive_partitioning": False, "glob": False}
    rows = pl.scan_parquet(paths, schema=frame.schema, **options).sort("kafka_partition", "kafka_offset").collect()
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest()).select(schema.names).cast(schema)


def _remove(day: date, file: File) -> "RemoveAction":
    from deltalake.transaction import RemoveAction

    now_ms = time.time_ns() // 1_000_000
    return RemoveAction(file["path"], False, now_ms, file["size_bytes"], {PARTITION_COLUMN: day.isoformat()})


def _commit(table: "DeltaTable", adds: "Sequence[AddAction]", removes: "Sequence[RemoveAction]") -> None:
    """Commit on the snapshot in hand, and load the newest one.

    Raises:
        CompactionConflict: another merge was committed since that snapshot was read.
    """
    from deltalake import CommitProperties, Transaction
    from deltalake.exceptions import CommitFailedError

    number = time.time_ns()  # tells our transaction from another's
    try:
        table.create_write_transaction(
            [*adds, *removes],
            mode="append",
            schema=table.schema(),
            partition_by=PARTITION_COLUMN,
            commit_properties=CommitProperties(
                app_transactions=[Transaction(APPLICATION, number)],
                custom_metadata={"files": len(adds), "removed": len(removes), "partitions": 1},
                max_commit_retries=COMMIT_RETRIES,
            ),
        )
    except CommitFailedError as error:
        table.update_incremental()
        if table.transaction_version(APPLICATION) != number:  # else it landed, whatever the error says (delta-rs #2609)
            raise CompactionConflict(cause(error)) from error
    table.update_incremental()
