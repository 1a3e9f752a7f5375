"""`okr lake repair`: return to the last intact version after a power cut, if this provably loses no events.

A power cut may tear the files that were written last: a commit, a data file or a checkpoint. Delta commits also commit
the offsets. A table that is reset to an earlier version is therefore also reset to that version's offsets, and landing
continues from there. The newest versions, starting with the first damaged one, are moved away if and only if
1. the version before them is intact: its log can be replayed, and its files have their full size and a Parquet footer;
2. the broker's topic was not re-created since the table was landed, and it has all events at or beyond that version's
   offsets (in a partition that had no offset yet, all events since the first landed one).
If one of these conditions is not met, nothing is changed. Rows that are already loaded into `raw` stay there, because
the same offsets will be landed again. If only a checkpoint is damaged and all commits since the previous checkpoint are
intact, only the damaged checkpoint and the pointer to the last checkpoint are moved. If only this pointer is wrong,
only the pointer is moved.

The repair deletes nothing. Files that it removes from the log are kept in the table's folder `_torn` until an operator
deletes them. Data files that only the removed versions reference stay in place. The repair restarts their retention,
after which maintenance deletes them. Stop the writers before a repair.
"""

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ingestion.consumer_groups import LANDING_GROUP
from ingestion.delta.log import DeltaLog
from ingestion.delta.torn_commits import torn_reason
from ingestion.ledger.broker import Bounds, Broker
from lakehouse.contracts import TOPICS
from lakehouse.errors import PermanentError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import application_id, table_uri
from lakehouse.logs import get_logger
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from deltalake import DeltaTable

log = get_logger(__name__)

RUNBOOK = "Nothing was changed. See docs/runbooks/lake-repair.md."
PARQUET_END = b"PAR1"


@dataclass(frozen=True)
class Repair:
    """The number of files moved away from a table's log, the reason, and the table's new version."""

    topic: str
    reason: str
    moved_files: int
    version: int
    folder: str


def repair(settings: Settings) -> list[Repair]:
    """Repair each landing table of a local lake and return the repairs. If nothing is damaged, there are none.

    Raises:
        PermanentError: the lake is in an object store; or a table is damaged, and the broker lacks events that are
            needed to restore it. The table was not changed.
        RetryableError: a table is damaged, but the broker does not answer. The table was not changed.
    """
    lake_uri = settings.require("lake_uri")
    if "://" in lake_uri:
        raise PermanentError(
            f"Expected a lake in a folder, found {lake_uri}. An object store writes an object completely or not at "
            "all, so it has no torn files. If objects were deleted or changed, restore them from their versions."
        )
    repairs = []
    with Broker(KafkaConnection.of(settings)) as broker:
        for topic in TOPICS:
            delta_log = DeltaLog(table_uri(lake_uri, topic))
            repaired = _repair(topic, delta_log, broker) if delta_log.commits() else None
            repairs += [repaired] if repaired else []
    return repairs


def _repair(topic: str, delta_log: DeltaLog, broker: Broker) -> Repair | None:
    torn = [version for version in delta_log.checkpoints() if not _is_readable(delta_log.checkpoint(version))]
    damaged, reason = _first_damaged(delta_log, torn)
    if damaged is None and torn:
        reason = f"checkpoints {torn} cannot be read"
    elif damaged is None and not _is_pointer_harmless(delta_log):
        reason = "readers are pointed to a checkpoint that does not exist"
    if not reason:
        return None
    newest = delta_log.commits()[-1]
    end = newest if damaged is None else damaged - 1
    _check_recoverable(topic, delta_log, torn, end, broker)
    moved = [
        *(delta_log.commit(version) for version in reversed(delta_log.commits()) if version > end),
        *(delta_log.checkpoint(version) for version in delta_log.checkpoints() if version > end or version in torn),
        *([delta_log.last_checkpoint()] if delta_log.last_checkpoint().exists() else []),
    ]
    if newest > end:
        _restart_retention(delta_log)
    folder = _move_away(delta_log, moved)
    if delta_log.commits()[-1] > end:
        raise PermanentError(
            f"{delta_log.folder}: a writer committed while the table was being repaired. Nothing is lost. Stop the "
            "writer and repair again: see docs/runbooks/lake-repair.md."
        )
    repaired = Repair(topic, reason, len(moved), end, str(folder))
    log.warning("repaired", topic=topic, reason=reason, moved_files=len(moved), version=end, folder=str(folder))
    return repaired


def _first_damaged(delta_log: DeltaLog, torn: list[int]) -> tuple[int | None, str]:
    """Return the first version that is torn or added a torn file, and the reason; None if all versions are intact."""
    last_good = max((each for each in delta_log.checkpoints() if each not in torn), default=-1)
    for version in delta_log.commits():
        reason = torn_reason(delta_log.commit(version).read_bytes()) if version > last_good else ""
        if reason:
            return version, f"commit {version} is torn: {reason}"
    commits = [version for version in delta_log.commits() if version > last_good]
    missing = next((expected for expected, version in enumerate(commits, last_good + 1) if version != expected), None)
    if missing is not None:
        return missing, f"commit {missing} is missing, although commit {commits[-1]} exists"
    with TemporaryDirectory() as copy:
        table = _replay(delta_log, torn, delta_log.commits()[-1], Path(copy))
        damaged_files = {action["path"] for action in _actions(table) if not _is_file_intact(delta_log, action)}
    if not damaged_files:
        return None, ""
    for version in delta_log.commits():
        added = _added(delta_log.commit(version))
        if damaged_files & added:
            found = f"{len(damaged_files)} files are missing or torn, the first of them added by version {version}"
            return version, found
    raise PermanentError(
        f"{delta_log.folder}: {len(damaged_files)} files from before its first commit are missing or torn. {RUNBOOK}"
    )


def _check_recoverable(topic: str, delta_log: DeltaLog, torn: list[int], end: int, broker: Broker) -> None:
    """Check that the table is intact at version `end`, and that the broker has all events after it.

    Raises:
        PermanentError: the table is not intact, or the broker lacks events.
        RetryableError: the broker does not answer.
    """
    if end < 0:
        raise PermanentError(f"{delta_log.folder}: even its first commit is damaged. {RUNBOOK}")
    with TemporaryDirectory() as copy:
        table = _replay(delta_log, torn, end, Path(copy))
        damaged_files = [action["path"] for action in _actions(table) if not _is_file_intact(delta_log, action)]
        log_id = table.metadata().description
        if damaged_files:
            raise PermanentError(
                f"{delta_log.folder}: {len(damaged_files)} files of version {end} are missing or torn. {RUNBOOK}"
            )
        broker_log_id = broker.log_id(topic)
        if log_id != broker_log_id:
            raise PermanentError(
                f"{topic}: version {end} was landed from the log {log_id}, but the broker now has the log "
                f"{broker_log_id}, whose offsets belong to different events. {RUNBOOK}"
            )
        for partition, bound in broker.bounds(topic).items():
            offset = table.transaction_version(application_id(log_id, LANDING_GROUP, topic, partition))
            if offset is None:
                _check_unlanded_partition(topic, partition, delta_log, end, bound)
            elif not bound.low <= offset <= bound.high:
                raise PermanentError(
                    f"{topic}/{partition}: version {end} is at offset {offset}, but the broker has only {bound.low} to "
                    f"{bound.high}. {RUNBOOK}"
                )


def _check_unlanded_partition(topic: str, partition: int, delta_log: DeltaLog, end: int, bound: Bounds) -> None:
    """Check that the broker has all landed events of a partition that had no offset at version `end`.

    Landing will start again at the broker's first event. If its offset is not 0, landing may originally have started at
    an earlier event.

    Raises:
        PermanentError: the broker lacks events, or the landed offsets are unknown.
    """
    if bound.low == 0:
        return
    landed = _landed_after(delta_log, end, partition)
    if landed is None or min(landed, default=bound.low) < bound.low:
        first = "an unknown offset" if landed is None else f"offset {min(landed)}"
        raise PermanentError(
            f"{topic}/{partition}: after version {end}, landing started at {first}, but the broker has only "
            f"{bound.low} to {bound.high}. {RUNBOOK}"
        )


def _landed_after(delta_log: DeltaLog, end: int, partition: int) -> list[int] | None:
    """Return the lowest offset of each file that was added after `end` and may include the partition; None if unknown.

    For a file with several partitions, this is the lowest offset of all partitions, so the check may be too strict.
    """
    kept = delta_log.commits()
    lowest_offsets = []
    for version in range(end + 1, kept[-1] + 1):
        text = delta_log.commit(version).read_bytes() if version in kept else b""
        if not text or torn_reason(text):
            return None
        for action in map(json.loads, text.splitlines()):
            if "add" not in action:
                continue
            try:
                stats = json.loads(action["add"]["stats"])
                low, high = stats["minValues"], stats["maxValues"]
                if low["kafka_partition"] <= partition <= high["kafka_partition"]:
                    lowest_offsets.append(int(low["kafka_offset"]))
            except (KeyError, TypeError, ValueError):  # a file without statistics
                return None
    return lowest_offsets


def _replay(delta_log: DeltaLog, torn: list[int], end: int, copy: Path) -> "DeltaTable":
    """Open the table at version `end` from a copy of its log, so that the check does not change the log.

    Raises:
        PermanentError: commits are missing from the log.
    """
    from deltalake import DeltaTable

    start = max((each for each in delta_log.checkpoints() if each not in torn and each <= end), default=-1)
    chain = [version for version in delta_log.commits() if start < version <= end]
    if chain != list(range(start + 1, end + 1)):
        raise PermanentError(f"{delta_log.folder}: commits between {start} and {end} are missing. {RUNBOOK}")
    log_copy = copy / "_delta_log"
    log_copy.mkdir()
    for path in [*([delta_log.checkpoint(start)] if start >= 0 else []), *map(delta_log.commit, chain)]:
        shutil.copy(path, log_copy)
    return DeltaTable(str(copy))


def _actions(table: "DeltaTable") -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = table.get_add_actions(flatten=True).to_struct_array().to_pylist()
    return actions


def _is_file_intact(delta_log: DeltaLog, action: dict[str, Any]) -> bool:
    path = delta_log.commit(0).parent.parent / unquote(action["path"])
    return path.is_file() and path.stat().st_size == action["size_bytes"] and _has_parquet_footer(path)


def _has_parquet_footer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-len(PARQUET_END), 2)
        return file.read() == PARQUET_END


def _is_readable(checkpoint: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(checkpoint)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def _is_pointer_harmless(delta_log: DeltaLog) -> bool:
    """Return whether the pointer to the last checkpoint is harmless. Readers ignore it if it is not valid JSON."""
    try:
        return json.loads(delta_log.last_checkpoint().read_bytes())["version"] in delta_log.checkpoints()
    except (ValueError, FileNotFoundError):
        return True


def _added(commit: Path) -> set[str]:
    lines = commit.read_bytes().splitlines()
    return {action["add"]["path"] for action in map(json.loads, lines) if "add" in action}


def _restart_retention(delta_log: DeltaLog) -> None:
    """Set the modification time of all data files to now, because files of torn versions may not be identifiable."""
    folder = delta_log.commit(0).parent.parent
    for path in folder.rglob("*.parquet"):
        if not path.relative_to(folder).parts[0].startswith("_"):
            os.utime(path)


def _move_away(delta_log: DeltaLog, paths: list[Path]) -> Path:
    """Move files out of the log, newest commit first, so that an interruption leaves no gap between commits."""
    folder = delta_log.commit(0).parent.parent / "_torn" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    folder.mkdir(parents=True)
    for path in paths:
        path.rename(folder / path.name)
    return folder
