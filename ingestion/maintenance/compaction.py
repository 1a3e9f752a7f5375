"""Compact small files in two stages, so that each byte is rewritten about twice.

Every run compacts the small files of each day into files of 4 MB. When a day has at least 5 files of that size, they
are compacted into files of 20 MB. (With a single stage, today's growing file would be rewritten in every run.) The rule
depends on sizes, not on dates, so today's files are compacted like files of earlier days. Each day has at least one
file, so two years of a small organisation's history are about 700 files. Reading all of them takes 0.2 s longer than
reading a single file.

Compacted files are written like landed files: their rows are in log order, and they are flushed to the disk before the
commit.

deltalake's `optimize.compact` is not used. It commits on a newer snapshot than the one that it read, and its conflict
check ignores files that are moved rather than changed. As a result, concurrent runs each add a copy of the rows (16
copies in tests/faults). A lock cannot prevent concurrent runs, because a process may hang, lose its lock, and resume.
Therefore compaction is fenced like landing. It commits its own transaction on the snapshot that it read, so one of two
concurrent runs fails (ADR 10).
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
    from deltalake import DeltaTable, Transaction
    from deltalake.transaction import AddAction, RemoveAction

log = get_logger(__name__)

# This id is in the Delta log of every lake. It predates this package's name and must not change. With a different id,
# an older release and this one could compact the same files at the same time, and neither would fail.
APPLICATION = "okr-upkeep"
SMALL_BYTES = 4_000_000
LARGE_BYTES = 20_000_000  # half a million events; compacting them takes 0.7 GB of memory
MIN_MEDIUM_FILES = 5
BINS_PER_COMMIT = 100
ATTEMPTS = 3
COMMIT_RETRIES = 100  # appends do not conflict, but each takes the next version
MAX_COMPACTION_SECONDS = 3600.0  # the retention is at least two days

File = dict[str, Any]  # an add action, flattened


def compact(table: "DeltaTable", uri: str) -> tuple[int, int]:
    """Compact small files; return the number of replaced files and of new files.

    Raises:
        RetryableError: in every attempt, another compaction was committed first, or the compaction took too long.
        deltalake.exceptions.DeltaError, OSError: the lake cannot be read or written; the table is unchanged.
    """
    for attempt in itertools.count(1):
        try:
            large = _compact_range(table, uri, SMALL_BYTES, LARGE_BYTES, MIN_MEDIUM_FILES)
            small = _compact_range(table, uri, 0, SMALL_BYTES, 2)
        except CompactionConflict as error:
            log.warning("the compaction was discarded; nothing was changed", attempt=attempt, error=str(error))
            if attempt == ATTEMPTS:
                raise
        else:
            return large[0] + small[0], large[1] + small[1]
    raise AssertionError("unreachable")


class CompactionConflict(RetryableError):
    """Another compaction was committed after this one had read the table, or this one took too long.

    The files that this compaction wrote are discarded.
    """


def fence(table: "DeltaTable") -> None:
    """Make every compaction that has already read the table fail, because the files that it read may now be deleted.

    Raises:
        CompactionConflict: another process committed a compaction or a fence at the same time.
    """
    commit(table, [], [])


def _compact_range(table: "DeltaTable", uri: str, min_bytes: int, target_bytes: int, min_files: int) -> tuple[int, int]:
    """Compact files of at least `min_bytes` but below the target size, on days with at least `min_files` such files."""
    bins = _bins(table, min_bytes, target_bytes, min_files)
    replaced = created = 0
    while chunk := list(itertools.islice(bins, BINS_PER_COMMIT)):
        started = time.clock_gettime(time.CLOCK_BOOTTIME)
        adds = [each for day, group in chunk for each in _rewrite(table, uri, day, group)]
        removes = [removal(day, file, data_change=False) for day, group in chunk for file in group]
        if "://" not in uri:
            sync(Path(uri) / each.path for each in adds)
        if time.clock_gettime(time.CLOCK_BOOTTIME) - started > MAX_COMPACTION_SECONDS:
            raise CompactionConflict("The compaction took so long that a vacuum may have deleted its new files.")
        commit(table, adds, removes)
        replaced, created = replaced + len(removes), created + len(adds)
    return replaced, created


def _bins(table: "DeltaTable", min_bytes: int, target_bytes: int, min_files: int) -> Iterator[tuple[date, list[File]]]:
    """Yield groups of files of one day, ordered by offset; a group ends when it reaches the target size."""
    days = defaultdict(list)
    for file in table.get_add_actions(flatten=True).to_struct_array().to_pylist():
        if min_bytes <= file["size_bytes"] < target_bytes:
            days[file[f"partition.{PARTITION_COLUMN}"]].append(file)
    for day, found in sorted(days.items()):
        if len(found) < min_files:
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
    """Rewrite a group of one day's files in the same way as landing writes a batch."""
    import pyarrow as pa

    rows = _read(table, [f"{uri}/{unquote(file['path'])}" for file in group])
    if rows.num_rows != sum(file["num_records"] for file in group):
        raise RetryableError(
            f"The files of {day} do not have the number of rows that the Delta log of {uri} states. Nothing was "
            "changed. If the next run fails, too, see docs/runbooks/lake-repair.md."
        )
    dated = rows.append_column(pa.field(PARTITION_COLUMN, pa.date32()), pa.repeat(pa.scalar(day), rows.num_rows))
    return [replace(each, data_change=False) for each in write_files(dated, uri)]


def _read(table: "DeltaTable", paths: list[str]) -> "pa.Table":
    """Read files in log order. A column that was added after a file was written is null in its rows.

    polars reads a thousand small files in 0.2 s; pyarrow needs a second.
    """
    import polars as pl
    import pyarrow as pa

    known = pa.schema(table.schema().to_arrow())
    schema = known.remove(known.get_field_index(PARTITION_COLUMN))
    frame: Any = pl.from_arrow(schema.empty_table())
    options: dict[str, Any] = {"missing_columns": "insert", "hive_partitioning": False, "glob": False}
    rows = pl.scan_parquet(paths, schema=frame.schema, **options).sort("kafka_partition", "kafka_offset").collect()
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest()).select(schema.names).cast(schema)


def removal(day: date, file: File, *, data_change: bool = True) -> "RemoveAction":
    """Return the action that removes a file. `data_change` is false if another file has its rows."""
    from deltalake.transaction import RemoveAction

    now_ms = time.time_ns() // 1_000_000
    return RemoveAction(file["path"], data_change, now_ms, file["size_bytes"], {PARTITION_COLUMN: day.isoformat()})


def commit(
    table: "DeltaTable",
    adds: "Sequence[AddAction]",
    removes: "Sequence[RemoveAction]",
    transactions: "Sequence[Transaction]" = (),
) -> None:
    """Commit on the current snapshot, with further transactions, then load the newest one.

    Raises:
        CompactionConflict: another compaction was committed after that snapshot was read.
    """
    from deltalake import CommitProperties, Transaction
    from deltalake.exceptions import CommitFailedError

    transaction_version = time.time_ns()
    try:
        table.create_write_transaction(
            [*adds, *removes],
            mode="append",
            schema=table.schema(),
            partition_by=PARTITION_COLUMN,
            commit_properties=CommitProperties(
                app_transactions=[Transaction(APPLICATION, transaction_version), *transactions],
                custom_metadata={"files": len(adds), "removed": len(removes), "partitions": 1 + len(transactions)},
                max_commit_retries=COMMIT_RETRIES,
            ),
        )
    except CommitFailedError as error:
        table.update_incremental()
        # If the versions are equal, the commit succeeded despite the error (delta-rs #2609).
        if table.transaction_version(APPLICATION) != transaction_version:
            raise CompactionConflict(cause(error)) from error
    table.update_incremental()
