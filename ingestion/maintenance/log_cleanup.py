"""Write a checkpoint of the Delta log, then remove the commits and checkpoints that are no longer needed.

A worker that lands every second writes 86,400 commits a day, and each append lists the whole log (0.05 s with 1,000
files, 1.1 s with 90,000). These rules limit the size of the log:
- Commits and checkpoints older than the retention are removed (by delta-rs).
- Of the newer files, the last 5,000 commits are kept, and one checkpoint per 5,000 versions before them. Time travel to
  each of these versions is possible.
- Files are removed only after a newer checkpoint has been written, flushed and read back. delta-rs would also remove
  files that are needed after a power cut, so the table property that lets every writer clean up is disabled.
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
    """Write a checkpoint of the newest version if it has none, and remove log files that are no longer needed.

    Raises:
        deltalake.exceptions.DeltaError, OSError: the log could not be written; nothing was removed.
        PermanentError: the new checkpoint cannot be read back as written; nothing was removed.
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
    """Read the checkpoint's footer and compare its number of rows with the number in the pointer file.

    Raises:
        PermanentError: the checkpoint is torn or has a different number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_metadata(checkpoint).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise PermanentError(
            f"{checkpoint} cannot be read back ({error}). See docs/runbooks/lake-repair.md."
        ) from error
    expected = json.loads(pointer.read_text())
    if f"{expected['version']:020}" == checkpoint.name[:20] and expected["size"] != rows:
        raise PermanentError(
            f"{checkpoint} has {rows} actions, but {expected['size']} were written. Nothing was removed. "
            "See docs/runbooks/lake-repair.md."
        )


def _remove_old_versions(log: DeltaLog, version: int) -> None:
    """Thin out the log before the newest checkpoint that is at least 5,000 versions old.

    Before it, only one checkpoint per 5,000 versions is kept, and no commits.
    """
    anchors = [each for each in log.checkpoints() if each <= version - KEPT_COMMITS]
    if not anchors:
        return
    for commit in log.commits():
        if commit < anchors[-1]:
            log.commit(commit).unlink(missing_ok=True)
    for previous, anchor in itertools.pairwise(anchors[:-1]):
        if previous // KEPT_COMMITS == anchor // KEPT_COMMITS:
            log.checkpoint(anchor).unlink(missing_ok=True)
