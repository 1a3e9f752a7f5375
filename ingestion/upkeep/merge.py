"""Joining small files, in two sizes, so that a file is rewritten about twice before it is settled.

Every run joins a day's small files to files of 8 MB; only when a day has 16 of those are they joined to 128 MB. (One
size alone would rewrite today's growing file at every run.) The rule looks at sizes and not at dates: today's files are
joined like those of a day long past. A day keeps at least one file, so that two years of a small organisation's history
are about 700 files: reading them all costs 0.05 s.

Rows stay in the runs that landing wrote; the runs of a file may lie in any order, and readers sort.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.landing.files import DICTIONARY_COLUMNS
from ingestion.upkeep.durable import sync
from lakehouse.lake import PARTITION_COLUMN
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from deltalake import DeltaTable

log = get_logger(__name__)

SMALL_BYTES = 8_000_000
LARGE_BYTES = 128_000_000
MOST_MIDDLING = 16
ROW_GROUP_ROWS = 100_000  # a reader that looks for some offsets skips the other row groups
ATTEMPTS = 3


def merge(table: "DeltaTable") -> tuple[int, int]:
    """Join small files of a table opened by `open_table`; return how many were replaced, and by how many.

    Raises:
        deltalake.exceptions.DeltaError: another writer removed the same files again and again.
    """
    middling = _days(table, SMALL_BYTES, LARGE_BYTES, MOST_MIDDLING)
    replaced, made = _join(table, middling, LARGE_BYTES)
    small = _days(table, 0, SMALL_BYTES, 2)
    more_replaced, more_made = _join(table, small, SMALL_BYTES)
    return replaced + more_replaced, made + more_made


def _days(table: "DeltaTable", least_bytes: int, below_bytes: int, files: int) -> list[str]:
    """Return the days that have at least so many files of a size."""
    actions = table.get_add_actions(flatten=True)
    sizes = actions["size_bytes"].to_pylist()
    days = actions[f"partition.{PARTITION_COLUMN}"].to_pylist()
    counts = Counter(day for day, size in zip(days, sizes, strict=True) if least_bytes <= size < below_bytes)
    return sorted(day.isoformat() for day, count in counts.items() if count >= files)


def _join(table: "DeltaTable", days: list[str], target_bytes: int) -> tuple[int, int]:
    """Join files of some days in one commit. What another merge did meanwhile makes ours fail, and it is tried anew."""
    from deltalake.exceptions import CommitFailedError

    if not days:
        return 0, 0
    for attempt in range(1, ATTEMPTS + 1):
        before = set(table.file_uris())
        try:
            metrics: dict[str, Any] = table.optimize.compact(
                partition_filters=[(PARTITION_COLUMN, "in", days)],
                target_size=target_bytes,
                max_concurrent_tasks=1,  # landing runs beside it
                writer_properties=_writer_properties(),
            )
        except CommitFailedError as error:
            if attempt == ATTEMPTS:
                raise
            log.warning("a merge lost against another writer, tried again", error=str(error).splitlines()[0])
            table.update_incremental()
            continue
        _sync_new(table, before)
        return int(metrics["numFilesRemoved"]), int(metrics["numFilesAdded"])
    return 0, 0


def _writer_properties() -> Any:
    from deltalake import ColumnProperties, WriterProperties

    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        max_row_group_size=ROW_GROUP_ROWS,
        default_column_properties=ColumnProperties(dictionary_enabled=False),
        column_properties={name: ColumnProperties(dictionary_enabled=True) for name in DICTIONARY_COLUMNS},
    )


def _sync_new(table: "DeltaTable", before: set[str]) -> None:
    """Flush the new files. Until then a power cut may tear them, but what they replace is kept for the retention."""
    new = set(table.file_uris()) - before
    sync(path for path in map(Path, new) if path.is_file())  # an object store's address is no file
