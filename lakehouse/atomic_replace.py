"""Replace files and folders atomically. Readers see the old or the new version, even if the writer is killed.

The next writer removes the drafts that a killed writer has left. Locks are released when their process ends.
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


def replace_file(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file. If two processes replace it concurrently, it contains the complete text of one of them.

    Raises:
        OSError: the file cannot be written; the old one is unchanged.
    """
    draft = path.with_name(f".{path.name}.draft")
    with _exclusive_writer(draft, mode) as file:
        try:
            file.truncate()
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def replace_folder(path: Path, build: Callable[[Path], R]) -> R:
    """Let `build` fill a new folder, then atomically make the link `path` point to it; return the result of `build`.

    The previous folder is kept until the next replacement, because readers may still be using its files. If `path` is
    a real folder, as in earlier releases, it is replaced by a link.

    Raises:
        OSError: the folder cannot be written; the old one is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with _exclusive_writer(lock, 0o644):
        _remove_stale_folders(path)
        draft = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            result = build(draft)
            draft.chmod(0o755)
            _link(path, draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        finally:
            lock.unlink()
    return result


def _link(path: Path, folder: Path) -> None:
    link = path.with_name(f".{path.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)  # relative, so that the state folder can be moved
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f".{path.name}-retired"))
    link.replace(path)


def _remove_stale_folders(path: Path) -> None:
    """Remove all draft and retired folders except the one to which `path` links."""
    # Compare names, not resolved paths. If a parent folder is a link, resolved paths differ from those that `glob`
    # returns.
    current = path.readlink().name if path.is_symlink() else ""
    for pattern in (f".{path.name}-*", f"{path.name}.retired"):
        for folder in path.parent.glob(pattern):
            if folder.name != current:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _exclusive_writer(file: Path, mode: int) -> Iterator[IO[str]]:
    """Open a file with an exclusive lock. Other writers wait until it is closed or this process dies.

    `filelock` is not used, because the locked file is the draft itself, which is renamed while it is locked.
    """
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, mode)
        with os.fdopen(descriptor, "w+", encoding="utf-8") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            if _is_same_file(file, opened):
                yield opened
                return


def _is_same_file(file: Path, opened: IO[str]) -> bool:
    """Return whether the name still refers to the opened file. The previous writer may have renamed that file."""
    try:
        return os.path.samestat(file.stat(), os.fstat(opened.fileno()))
    except FileNotFoundError:
        return False
