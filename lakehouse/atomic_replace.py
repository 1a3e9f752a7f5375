"""Replace files and folders atomically. Readers see the old or the new version, even if the writer is killed.

The next writer removes the drafts that a killed writer left. Locks are released when their process ends.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, TypeVar

R = TypeVar("R")


def replace_file(place: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file. If two processes replace it concurrently, it contains the complete text of one of them.

    Raises:
        OSError: the file cannot be written; the old one is unchanged.
    """
    draft = place.with_name(f".{place.name}.draft")
    with _only_writer(draft, mode) as file:
        try:
            file.truncate()
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            draft.replace(place)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def replace_folder(place: Path, build: Callable[[Path], R]) -> R:
    """Let `build` fill a new folder, point the link `place` to it atomically, and return the result of `build`.

    The previous folder is kept until the next replacement, because readers may still have a path into it. If `place` is
    a real folder, as in earlier releases, it is replaced by a link.

    Raises:
        OSError: the folder cannot be written; the old one is unchanged.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = place.with_name(f".{place.name}.lock")
    with _only_writer(lock, 0o644):
        _sweep(place)
        draft = Path(mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            result = build(draft)
            draft.chmod(0o755)
            _link(place, draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        finally:
            lock.unlink()
    return result


def _link(place: Path, folder: Path) -> None:
    link = place.with_name(f".{place.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)  # relative, so that the state folder can be moved
    if place.is_dir() and not place.is_symlink():
        place.rename(place.with_name(f".{place.name}-retired"))
    link.replace(place)


def _sweep(place: Path) -> None:
    """Remove every draft and retired folder except the one that `place` links to."""
    # Compare names, not resolved paths. If a parent folder is a link, resolved paths differ from those that `glob`
    # returns.
    current = place.readlink().name if place.is_symlink() else ""
    for pattern in (f".{place.name}-*", f"{place.name}.retired"):
        for folder in place.parent.glob(pattern):
            if folder.name != current:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _only_writer(file: Path, mode: int) -> Iterator[IO[str]]:
    """Open a file with an exclusive lock; other processes wait until it is closed or this process dies.

    `filelock` is not used, because the locked file is the draft itself, which is renamed while it is locked.
    """
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, mode)
        with os.fdopen(descriptor, "w+", encoding="utf-8") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            if _is_still(file, opened):
                yield opened
                return


def _is_still(file: Path, opened: IO[str]) -> bool:
    """Return whether the name still refers to the opened file. The previous writer may have renamed that file."""
    try:
        return os.path.samestat(file.stat(), os.fstat(opened.fileno()))
    except FileNotFoundError:
        return False
