"""`okr lake repair`: going back to the last whole version after a power cut, where that provably loses nothing.

A power cut may tear what was written last: a commit, a data file, a checkpoint. Because the lake's commit is the offset
commit, a table that goes back to an earlier version goes back to the offset of that version, and landing reads on from
there. So the newest versions, from the first damaged one on, are set aside if and only if
1. the version before them is whole: its log can be replayed and its files have their size and their end;
2. the broker's topic is still the log that the table was landed from, and has every event from that version's offsets
   on; of a partition that had no offset yet, every event from the first that was landed.
Otherwise nothing is touched. What was loaded into `raw` already stays: the same offsets are landed again.
A damaged checkpoint with whole commits since the one before is set aside alone: it holds nothing that they do not.

The repair deletes nothing. Files that it removes from the log stay in the table's folder `_torn` until an operator
deletes them. Data files that only the removed versions reference stay in place until the retention, which restarts with
the repair, has expired and maintenance deletes them. Stop the writers before a repair.
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
    """What was set aside of a table, why, and the version that it is at now."""

    topic: str
    reason: str
    set_aside: int
    version: int
    folder: str


def repair(settings: Settings) -> list[Repair]:
    """Repair each landing table of a local lake; return the repairs, none where nothing is damaged.

    Raises:
        PermanentError: a table is damaged beyond what the broker can give back; it was not touched.
        RetryableError: a table is damaged, but the broker does not answer; it was not touched.
    """
    lake_uri = settings.require("lake_uri")
    repairs = []
    with Broker(settings.require("kafka_bootstrap")) as broker:
        for topic in TOPICS:
            delta_log = DeltaLog(table_uri(lake_uri, topic))
            done = _repair(topic, delta_log, broker) if delta_log.commits() else None
            repairs += [done] if done else []
    return repairs


def _repair(topic: str, delta_log: DeltaLog, broker: Broker) -> Repair | None:
    bad = [version for version in delta_log.checkpoints() if not _is_whole(delta_log.checkpoint(version))]
    damaged, reason = _first_damaged(delta_log, bad)
    if damaged is None and bad:
        reason = f"checkpoints {bad} cannot be read"
    elif damaged is None and not _is_pointer_good(delta_log):
        reason = "readers are sent to a checkpoint that is not there"
    if not reason:
        return None
    newest = delta_log.commits()[-1]
    end = newest if damaged is None else damaged - 1
    _prove(topic, delta_log, bad, end, broker)
    aside = [
        *(delta_log.commit(version) for version in reversed(delta_log.commits()) if version > end),
        *(delta_log.checkpoint(version) for version in delta_log.checkpoints() if version > end or version in bad),
        *([delta_log.last_checkpoint()] if delta_log.last_checkpoint().exists() else []),
    ]
    if newest > end:
        _keep_for_a_retention(delta_log)
    folder = _set_aside(delta_log, aside)
    if delta_log.commits()[-1] > end:
        raise PermanentError(
            f"{delta_log.folder}: a writer went on while the table was repaired. Nothing is lost. Stop it and repair "
            "again: see docs/runbooks/lake-repair.md."
        )
    done = Repair(topic, reason, len(aside), end, str(folder))
    log.warning("repaired", topic=topic, reason=reason, set_aside=len(aside), version=end, folder=str(folder))
    return done


def _first_damaged(delta_log: DeltaLog, bad: list[int]) -> tuple[int | None, str]:
    """Return the first version that is torn, or that added a file that is, and why; None when all are whole."""
    good = max((each for each in delta_log.checkpoints() if each not in bad), default=-1)
    for version in delta_log.commits():
        reason = torn_reason(delta_log.commit(version).read_bytes()) if version > good else ""
        if reason:
            return version, f"commit {version} is torn: {reason}"
    kept = [version for version in delta_log.commits() if version > good]
    missing = next((wanted for wanted, version in enumerate(kept, good + 1) if version != wanted), None)
    if missing is not None:
        return missing, f"commit {missing} is missing below {kept[-1]}"
    with TemporaryDirectory() as copy:
        table = _replay(delta_log, bad, delta_log.commits()[-1], Path(copy))
        lost = {action["path"] for action in _actions(table) if not _is_there(delta_log, action)}
    if not lost:
        return None, ""
    for version in delta_log.commits():
        added = _added(delta_log.commit(version))
        if lost & added:
            return version, f"{len(lost)} files are missing or torn, the first of them added by version {version}"
    raise PermanentError(f"{delta_log.folder}: {len(lost)} files are missing or torn, added before its log. {RUNBOOK}")


def _prove(topic: str, delta_log: DeltaLog, bad: list[int], end: int, broker: Broker) -> None:
    """Make sure that the table at version `end` is whole, and that the broker has what came after it.

    Raises:
        PermanentError: it is not, or the broker has not.
        RetryableError: the broker does not answer.
    """
    if end < 0:
        raise PermanentError(f"{delta_log.folder}: not even its first commit is whole. {RUNBOOK}")
    with TemporaryDirectory() as copy:
        table = _replay(delta_log, bad, end, Path(copy))
        lost = [action["path"] for action in _actions(table) if not _is_there(delta_log, action)]
        log_id = table.metadata().description
        if lost:
            raise PermanentError(f"{delta_log.folder}: {len(lost)} files of version {end} are gone or torn. {RUNBOOK}")
        broker_log_id = broker.log_id(topic)
        if log_id != broker_log_id:
            raise PermanentError(
                f"{topic}: version {end} was landed from the log {log_id}, but the broker's is {broker_log_id}, whose "
                f"offsets mean other events. {RUNBOOK}"
            )
        for partition, bound in broker.bounds(topic).items():
            offset = table.transaction_version(application_id(log_id, LANDING_GROUP, topic, partition))
            if offset is None:
                _prove_from_the_first(topic, partition, delta_log, end, bound)
            elif not bound.low <= offset <= bound.high:
                raise PermanentError(
                    f"{topic}/{partition}: version {end} is at offset {offset}, but the broker has {bound.low} to "
                    f"{bound.high} only. {RUNBOOK}"
                )


def _prove_from_the_first(topic: str, partition: int, delta_log: DeltaLog, end: int, bound: Bounds) -> None:
    """Make sure that the broker has what landed of a partition of which nothing had, at version `end`.

    Landing begins at the broker's first event again. Unless that is 0, it may have been an earlier one then.

    Raises:
        PermanentError: it has not, or what landed cannot be known.
    """
    if bound.low == 0:
        return
    landed = _landed_after(delta_log, end, partition)
    if landed is None or min(landed, default=bound.low) < bound.low:
        first = "an offset that cannot be known any more" if landed is None else f"offset {min(landed)}"
        raise PermanentError(
            f"{topic}/{partition}: after version {end} landing began at {first}, but the broker has {bound.low} to "
            f"{bound.high} only. {RUNBOOK}"
        )


def _landed_after(delta_log: DeltaLog, end: int, partition: int) -> list[int] | None:
    """Return the least offset of each file that was added after `end` and may hold the partition; None if unknown.

    A file that holds other partitions beside it tells the least of them all, which asks for more than is needed.
    """
    kept = delta_log.commits()
    least = []
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
                    least.append(int(low["kafka_offset"]))
            except (KeyError, TypeError, ValueError):  # a file without statistics
                return None
    return least


def _replay(delta_log: DeltaLog, bad: list[int], end: int, copy: Path) -> "DeltaTable":
    """Open the table at version `end` from a copy of its log, so that trying changes nothing.

    Raises:
        PermanentError: the log has a hole.
    """
    from deltalake import DeltaTable

    start = max((each for each in delta_log.checkpoints() if each not in bad and each <= end), default=-1)
    chain = [version for version in delta_log.commits() if start < version <= end]
    if chain != list(range(start + 1, end + 1)):
        raise PermanentError(f"{delta_log.folder}: commits between {start} and {end} are missing. {RUNBOOK}")
    to = copy / "_delta_log"
    to.mkdir()
    for path in [*([delta_log.checkpoint(start)] if start >= 0 else []), *map(delta_log.commit, chain)]:
        shutil.copy(path, to)
    return DeltaTable(str(copy))


def _actions(table: "DeltaTable") -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = table.get_add_actions(flatten=True).to_struct_array().to_pylist()
    return actions


def _is_there(delta_log: DeltaLog, action: dict[str, Any]) -> bool:
    path = delta_log.commit(0).parent.parent / unquote(action["path"])
    return path.is_file() and path.stat().st_size == action["size_bytes"] and _has_end(path)


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-len(PARQUET_END), 2)
        return file.read() == PARQUET_END


def _is_whole(checkpoint: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(checkpoint)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def _is_pointer_good(delta_log: DeltaLog) -> bool:
    """Say whether readers are sent to a checkpoint that exists; what cannot be read as JSON, they pass over."""
    try:
        return json.loads(delta_log.last_checkpoint().read_bytes())["version"] in delta_log.checkpoints()
    except (ValueError, FileNotFoundError):
        return True


def _added(commit: Path) -> set[str]:
    lines = commit.read_bytes().splitlines()
    return {action["add"]["path"] for action in map(json.loads, lines) if "add" in action}


def _keep_for_a_retention(delta_log: DeltaLog) -> None:
    """Let each data file count as written now: which of them the torn versions name cannot always be known."""
    folder = delta_log.commit(0).parent.parent
    for path in folder.rglob("*.parquet"):
        if not path.relative_to(folder).parts[0].startswith("_"):
            os.utime(path)


def _set_aside(delta_log: DeltaLog, paths: list[Path]) -> Path:
    """Move files out of the log, the newest commit first: whenever this ends, the log has no hole."""
    folder = delta_log.commit(0).parent.parent / "_torn" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    folder.mkdir(parents=True)
    for path in paths:
        path.rename(folder / path.name)
    return folder
