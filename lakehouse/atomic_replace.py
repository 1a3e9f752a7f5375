"""Files and folders that are replaced whole: readers see the old one or the new one, wherever the writer is killed.

What a killed writer left is found by the next one: drafts do not pile up, and no lock outlives its process.
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
    """Write a file whole; two writers at once leave what one of them wrote.

    Raises:
        OSError: it cannot be written; what stood there stands.
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
    """Let `build` fill a new folder, make `place` a link to it in one step, and return what `build` returned.

    The folder before stays for readers that hold a path into it; the next replacement removes it. A `place` that is
    a folder itself, as earlier releases made it, becomes a link.

    Raises:
        OSError: it cannot be written; what stood there stands.
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
    link.symlink_to(folder.name)  # relative, for a state folder that is moved
    if place.is_dir() and not place.is_symlink():
        place.rename(place.with_name(f".{place.name}-retired"))
    link.replace(place)


def _sweep(place: Path) -> None:
    """Remove every folder of this place but the one that it links to."""
    # Names are compared: resolved, a place below another link would differ from what is found beside it.
    current = place.readlink().name if place.is_symlink() else ""
    for pattern in (f".{place.name}-*", f"{place.name}.retired"):
        for folder in place.parent.glob(pattern):
            if folder.name != current:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _only_writer(file: Path, mode: int) -> Iterator[IO[str]]:
    """Open a file for this process alone; others wait until it is closed or this process dies."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, mode)
        with os.fdopen(descriptor, "w+", encoding="utf-8") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            if _is_still(file, opened):
                yield opened
                return


def _is_still(file: Path, opened: IO[str]) -> bool:
    """Tell whether the name still means the file that was opened: the writer before may have moved it into place."""
    try:
        return os.path.samestat(file.stat(), os.fstat(opened.fileno()))
    except FileNotFoundError:
        return False
