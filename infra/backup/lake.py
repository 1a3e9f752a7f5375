"""The lake: which files make up a version of each table, and how a restored table is moved back to a version.

Commits, checkpoints and data files never change once they are written, and a version needs only files that were written
before it. So a list that is made after the version was read is complete: what lands later is not in it, and vacuum
deletes only files that no version of the last days needs.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lakehouse.contracts import TOPICS
from lakehouse.errors import InvariantBroken, PermanentError, RetryableError
from lakehouse.lake import application_id, cause, table_uri

if TYPE_CHECKING:
    from deltalake import DeltaTable

LANDING_GROUP = "okr-landing"  # as in ingestion/consumer_groups.py
MAX_PARTITIONS = 256
LAST_CHECKPOINT = "_last_checkpoint"


@dataclass(frozen=True)
class TableVersion:
    """One version of a topic's table: the log of its offsets, and the next offset of each partition."""

    version: int
    log_id: str
    positions: Mapping[int, int]


def require_folder(lake_uri: str) -> None:
    """Check that the lake is in a folder.

    Raises:
        PermanentError: it is in object storage, which keeps versions of its own.
    """
    if "://" in lake_uri:
        raise PermanentError(
            f"The lake is in object storage ({lake_uri}). `okr backup` works only with a lake in a folder: use the "
            "versions and the replication of the bucket, and another tool for PostgreSQL (docs/backup.md)."
        )


def current_versions(lake_uri: str) -> dict[str, TableVersion]:
    """Return the newest version of each table.

    Raises:
        RetryableError: a table cannot be read.
    """
    return {topic: version_of(lake_uri, topic) for topic in _topics(lake_uri)}


def version_of(lake_uri: str, topic: str, version: int | None = None) -> TableVersion:
    """Return a version of a table, by default the newest.

    Raises:
        RetryableError: it cannot be read.
    """
    table = _open(table_uri(lake_uri, topic), version)
    log_id = str(table.metadata().description)
    found = {
        partition: table.transaction_version(application_id(log_id, LANDING_GROUP, topic, partition))
        for partition in range(MAX_PARTITIONS)
    }
    return TableVersion(
        table.version(), log_id, {partition: offset for partition, offset in found.items() if offset is not None}
    )


def files_of(lake_uri: str, versions: Mapping[str, TableVersion]) -> list[Path]:
    """Return all files that are needed to restore these versions, or an earlier one that the log still has."""
    files: list[Path] = []
    for topic, version in versions.items():
        folder = Path(table_uri(lake_uri, topic))
        files += [path for number, path in _log_files(folder) if number <= version.version]
        files += sorted(_data_files(folder, version.version))
    return files


def required_files(lake_uri: str, topic: str, version: int) -> dict[Path, int]:
    """Return the data files of a version with their sizes in bytes."""
    import pyarrow as pa

    folder = Path(table_uri(lake_uri, topic))
    actions = pa.table(_open(str(folder), version).get_add_actions(flatten=True))
    names, sizes = actions["path"].to_pylist(), actions["size_bytes"].to_pylist()
    return {folder / unquote(name): size for name, size in zip(names, sizes, strict=True)}


def version_at(lake_uri: str, topic: str, moment: datetime) -> int | None:
    """Return the newest version before the first commit that is later than `moment`; None if that is the first one.

    PostgreSQL also stops at the first later commit, so a clock that was set back changes both in the same way.

    Raises:
        PermanentError: the log no longer has the versions of that time.
    """
    folder = Path(table_uri(lake_uri, topic))
    commits = sorted((number, path) for number, path in _log_files(folder) if path.suffix == ".json")
    for number, path in commits:
        if _committed_at_ms(path) > moment.timestamp() * 1000:
            if number and number == commits[0][0]:
                raise PermanentError(
                    f"The log of {topic} in this backup begins with version {number}, which is later than {moment}. "
                    "Choose a later time; OKR_LAKE_RETENTION_DAYS says how long earlier versions are kept."
                )
            return number - 1 if number else None
    return commits[-1][0]


def first_version_with(lake_uri: str, topic: str, needed: Mapping[int, int], start: int, end: int) -> int:
    """Return the first version from `start` to `end` whose offsets are at or beyond those needed.

    Raises:
        InvariantBroken: even `end` is behind, so rows are in the warehouse that never were in the lake.
    """
    for version in range(start, end + 1):
        positions = version_of(lake_uri, topic, version).positions
        if all(positions.get(partition, 0) >= offset for partition, offset in needed.items()):
            return version
    raise InvariantBroken(
        f"The warehouse needs the offsets {dict(needed)} of {topic}, but version {end} of the lake's table has only "
        f"{dict(version_of(lake_uri, topic, end).positions)}. Restore another recovery point (`okr backup list`)."
    )


def truncate(lake_uri: str, topic: str, version: int) -> None:
    """Move a table that no process uses back to a version, by removing all that is later.

    Raises:
        PermanentError: a data file of this version is missing or has another size.
    """
    folder = Path(table_uri(lake_uri, topic))
    kept = _data_files(folder, version)
    for number, path in list(_log_files(folder)):
        if number > version:
            path.unlink()
    (folder / "_delta_log" / LAST_CHECKPOINT).unlink(missing_ok=True)
    for path in folder.glob("*/*.parquet"):
        if path.parent.name != "_delta_log" and path not in kept:
            path.unlink()
    for path, size in required_files(lake_uri, topic, version).items():
        if not path.is_file() or path.stat().st_size != size:
            raise PermanentError(
                f"The backup lacks {path.relative_to(folder)} of {topic}, version {version}. Expected {size} bytes. "
                "Restore another recovery point (`okr backup list`)."
            )


def _topics(lake_uri: str) -> list[str]:
    return [topic for topic in TOPICS if (Path(table_uri(lake_uri, topic)) / "_delta_log").is_dir()]


def _open(uri: str, version: int | None) -> "DeltaTable":
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(uri, version=version)
    except (DeltaError, OSError) as error:
        raise RetryableError(
            f"The lake table {uri} cannot be read ({cause(error)}). See docs/runbooks/lake-repair.md."
        ) from error


def _log_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the versions and paths of commits and checkpoints."""
    for path in (folder / "_delta_log").iterdir():
        if path.name[:20].isdigit() and path.suffix in (".json", ".parquet"):
            yield int(path.name[:20]), path


def _data_files(folder: Path, version: int) -> set[Path]:
    """Return the existing data files that the log up to a version names, including those that it has replaced."""
    names: set[str] = set()
    for number, path in _log_files(folder):
        if number > version:
            continue
        actions = _actions(path) if path.suffix == ".json" else _checkpoint_actions(path)
        names |= {unquote(action["path"]) for action in actions}
    return {folder / name for name in names if (folder / name).is_file()}


def _actions(commit: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the added and removed files of a commit; nothing if log cleanup has removed it meanwhile."""
    try:
        lines = commit.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        action = json.loads(line)
        if found := action.get("add") or action.get("remove"):
            yield found


def _checkpoint_actions(checkpoint: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(checkpoint, columns=["add.path", "remove.path"])
    except FileNotFoundError:
        return
    for column in ("add", "remove"):
        if column in table.column_names:
            yield from (each for each in table[column].to_pylist() if each and each.get("path"))


def _committed_at_ms(commit: Path) -> int:
    first = commit.read_text(encoding="utf-8").splitlines()
    info: dict[str, Any] = next((json.loads(line)["commitInfo"] for line in first if '"commitInfo"' in line), {})
    return int(info.get("timestamp", 0))
