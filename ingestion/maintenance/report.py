"""Format the report of a maintenance run as text and as JSON, and store it in the lake for `okr lake status`.

The next run reads from it when files were last vacuumed and old rows last looked for.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.atomic_replace import replace_file

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

REPORT_FILE = "_maintenance.json"
# Earlier versions stored the report under another file name and with other field names. Both can still be read.
REPORT_FILES = (REPORT_FILE, "_upkeep.json")
OLD_FIELDS = {"begun_at_s": "started_at_s", "merged_files": "compacted_files"}


@dataclass(frozen=True)
class TableMaintenance:
    """Maintenance of one landing table. Sizes cover only files that readers see. Times are seconds since 1970."""

    topic: str
    started_at_s: float
    seconds: float
    version_before: int
    version_after: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    compacted_files: int
    deleted_files: int
    log_files: int
    vacuumed_at_s: float | None
    pruned_rows: int = 0
    pruning_checked_at_s: float | None = None


def as_lines(tables: Sequence[TableMaintenance]) -> str:
    """Return one line per table."""
    lines = [f"{'topic':<20} {'files':>15} {'MB':>19} {'deleted':>8} {'log files':>9} {'version':>15} {'seconds':>8}"]
    for each in tables:
        files = f"{each.files_before:,} -> {each.files_after:,}"
        size = f"{each.bytes_before / 1e6:,.1f} -> {each.bytes_after / 1e6:,.1f}"
        version = f"{each.version_before} -> {each.version_after}"
        lines.append(
            f"{each.topic:<20} {files:>15} {size:>19} {each.deleted_files:>8,} {each.log_files:>9,} {version:>15} "
            f"{each.seconds:>8.1f}"
        )
    return "\n".join(lines)


def as_documents(tables: Sequence[TableMaintenance]) -> list[dict[str, Any]]:
    """Return the reports as JSON-compatible dictionaries."""
    return [asdict(each) for each in tables]


def save(lake_uri: str, tables: Sequence[TableMaintenance]) -> None:
    """Store the last maintenance run of each table in the lake's folder or object store.

    Raises:
        OSError, pyarrow.ArrowException: the report cannot be written.
    """
    document = json.dumps(read_last(lake_uri) | {each.topic: asdict(each) for each in tables}, indent=2)
    if "://" in lake_uri:
        store, folder = _object_store(lake_uri)
        with store.open_output_stream(f"{folder}/{REPORT_FILE}") as file:
            file.write(document.encode())
    else:
        replace_file(Path(lake_uri) / REPORT_FILE, document)


def read_last(lake_uri: str) -> dict[str, dict[str, Any]]:
    """Return the last maintenance run by topic; empty if there was none or if the report cannot be read."""
    try:
        last: dict[str, dict[str, Any]] = json.loads(_stored_report(lake_uri) or "{}")
    except ValueError:
        return {}  # torn by a power cut, or an object store of an unknown kind; the next maintenance run replaces it
    return {topic: _renamed(table) for topic, table in last.items()}


def _stored_report(lake_uri: str) -> str | None:
    if "://" not in lake_uri:
        path = next((path for name in REPORT_FILES if (path := Path(lake_uri) / name).is_file()), None)
        return path.read_text(encoding="utf-8") if path else None
    store, folder = _object_store(lake_uri)
    try:
        with store.open_input_stream(f"{folder}/{REPORT_FILE}") as file:
            stored: bytes = file.read()
    except FileNotFoundError:
        return None
    return stored.decode()


def _object_store(lake_uri: str) -> "tuple[FileSystem, str]":
    """Return the object store and the folder in it. Credentials are those of the environment, such as `AWS_*`."""
    from pyarrow.fs import FileSystem

    store, folder = FileSystem.from_uri(lake_uri.rstrip("/"))
    return store, folder


def _renamed(table: dict[str, Any]) -> dict[str, Any]:
    """Return a stored report with the current field names."""
    return {OLD_FIELDS.get(name, name): value for name, value in table.items()}
