"""Delete old logs of the local stack, and of Airflow's tasks on a server, which nothing else rotates."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

DAY_S = 86_400
TASKS = "airflow"  # the folder with a file for each try of each task


def delete_old(logs: Path, days: int) -> tuple[int, int]:
    """Delete rotated files and task logs that were last written more than `days` days ago.

    Return how many files, and their size in bytes. Files of services are never deleted while they are current, even if
    a service has been silent for so long, because its process has them open.
    """
    oldest = time.time() - days * DAY_S
    files, size = 0, 0
    for path in _candidates(logs):
        with suppress(OSError):  # another process has deleted it
            status = path.lstat()
            if status.st_mtime < oldest:
                path.unlink()
                files, size = files + 1, size + status.st_size
    _remove_empty_folders(logs / TASKS)
    return files, size


def _candidates(logs: Path) -> Iterator[Path]:
    yield from logs.glob("*.log.*")
    yield from (path for path in (logs / TASKS).rglob("*.log*") if path.is_file() and not path.is_symlink())


def _remove_empty_folders(folder: Path) -> None:
    for path in sorted((each for each in folder.rglob("*") if each.is_dir() and not each.is_symlink()), reverse=True):
        with suppress(OSError):  # it is not empty
            path.rmdir()
