"""Bounding the Delta log: a checkpoint that is on the disk, then the removal of what it makes needless.

A worker that lands every second writes 86,400 commits a day, and each append lists the whole log (0.05 s at a thousand
files, 1.1 s at 90,000). Three things bound it, none of them anybody's history within reason:
- commits and checkpoints older than the retention go (delta-rs does that);
- of the younger ones the last 5,000 commits stay, and below them a checkpoint every 5,000: time travel reaches each of
  the former and the latter;
- whatever goes, goes only after a newer checkpoint was written, flushed and read back. delta-rs alone would remove what
  a power cut needs, so the table property that lets every writer do it is switched off.
"""

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.delta.fsync import sync
from ingestion.delta.log import DeltaLog
from lakehouse.errors import PermanentError

if TYPE_CHECKING:
    from deltalake import DeltaTable

KEPT_COMMITS = 5_000


def clean_up_log(table: "DeltaTable", uri: str, *, may_delete: bool) -> None:
    """Write a checkpoint of the newest version, unless there is one, and remove the log that it makes needless.

    Raises:
        deltalake.exceptions.DeltaError, OSError: the log could not be written; nothing was removed.
        PermanentError: the new checkpoint is not what was written; nothing was removed.
    """
    log = DeltaLog(uri)
    table.update_incremental()
    version = table.version()
    if version not in log.checkpoints():
        table.create_checkpoint()
    if log.folder is not None:
        sync([log.checkpoint(version), log.last_checkpoint(), *_existing(log, log.commits()[-1:])])
        _read_back(log.checkpoint(version), log.last_checkpoint())
    if may_delete:
        table.cleanup_metadata()
        _remove_old_versions(log, version)


def _existing(log: DeltaLog, versions: list[int]) -> list[Path]:
    return [path for path in map(log.commit, versions) if path.is_file()]


def _read_back(checkpoint: Path, pointer: Path) -> None:
    """Read the checkpoint's footer and compare its rows with what readers are told to expect.

    Raises:
        PermanentError: it is torn or holds another number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_metadata(checkpoint).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise PermanentError(
            f"{checkpoint} cannot be read back ({error}). See docs/runbooks/lake-repair.md."
        ) from error
    told = json.loads(pointer.read_text())
    if f"{told['version']:020}" == checkpoint.name[:20] and told["size"] != rows:
        raise PermanentError(
            f"{checkpoint} holds {rows} actions where {told['size']} were written. Nothing was removed. "
            "See docs/runbooks/lake-repair.md."
        )


def _remove_old_versions(log: DeltaLog, version: int) -> None:
    """Below a checkpoint that is 5,000 commits back, keep the first checkpoint of every 5,000 and no commit."""
    anchors = [each for each in log.checkpoints() if each <= version - KEPT_COMMITS]
    if not anchors:
        return
    for commit in log.commits():
        if commit < anchors[-1]:
            log.commit(commit).unlink(missing_ok=True)
    for before, anchor in itertools.pairwise(anchors[:-1]):
        if before // KEPT_COMMITS == anchor // KEPT_COMMITS:
            log.checkpoint(anchor).unlink(missing_ok=True)
