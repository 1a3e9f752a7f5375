"""What an upkeep did: for people, for programs, and kept in the lake for `okr lake status`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lakehouse.atomic_replace import replace_file

REPORT_FILE = "_upkeep.json"


@dataclass(frozen=True)
class TableUpkeep:
    """One landing table. `bytes_before` and `bytes_after` are of the files that readers see; times are UTC seconds."""

    topic: str
    begun_at_s: float
    seconds: float
    version_before: int
    version_after: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    merged_files: int
    deleted_files: int
    log_files: int
    vacuumed_at_s: float | None


def as_lines(tables: Sequence[TableUpkeep]) -> str:
    """Return one line per table."""
    lines = [f"{'topic':<20} {'files':>15} {'MB':>19} {'deleted':>8} {'log':>7} {'version':>15} {'seconds':>8}"]
    for each in tables:
        files = f"{each.files_before:,} -> {each.files_after:,}"
        size = f"{each.bytes_before / 1e6:,.1f} -> {each.bytes_after / 1e6:,.1f}"
        version = f"{each.version_before} -> {each.version_after}"
        lines.append(
            f"{each.topic:<20} {files:>15} {size:>19} {each.deleted_files:>8,} {each.log_files:>7,} {version:>15} "
            f"{each.seconds:>8.1f}"
        )
    return "\n".join(lines)


def as_documents(tables: Sequence[TableUpkeep]) -> list[dict[str, Any]]:
    """Return JSON's types."""
    return [asdict(each) for each in tables]


def keep(lake_uri: str, tables: Sequence[TableUpkeep]) -> None:
    """Keep the last upkeep of each table beside the tables; an object store's is in the log of who ran it alone."""
    if "://" in lake_uri:
        return
    last = read_last(lake_uri) | {each.topic: asdict(each) for each in tables}
    place = Path(lake_uri) / REPORT_FILE
    replace_file(place, json.dumps(last, indent=2))


def read_last(lake_uri: str) -> dict[str, dict[str, Any]]:
    """Return the last upkeep of each table, by topic; empty where there was none or what is kept cannot be read."""
    place = Path(lake_uri) / REPORT_FILE
    if "://" in lake_uri or not place.is_file():
        return {}
    try:
        last: dict[str, dict[str, Any]] = json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        return {}  # torn by a power cut; the next upkeep writes it anew
    return last
