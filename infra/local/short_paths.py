"""Short paths to a deep state folder, because UNIX sockets and MLflow's tables limit the length of a path."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from lakehouse.errors import PermanentError


def private_folder(state: Path) -> Path:
    """Return a private folder in /tmp with a short path for this state folder. A reboot may delete it.

    Raises:
        PermanentError: the folder exists, but belongs to another user or is not private.
    """
    folder = _private_folder_path(state)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermanentError(f"{folder} is not a private folder of this user. Remove it, then start again.")
    return folder


def short_link(state: Path, target: Path) -> Path:
    """Return a short link to a path in the state folder. The link's path never changes; a missing link is recreated."""
    link = private_folder(state) / target.name
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return link


def remove_private_folder(state: Path) -> None:
    """Remove the private folder if it exists."""
    shutil.rmtree(_private_folder_path(state), ignore_errors=True)


def _private_folder_path(state: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path("/tmp") / f"okr-{os.geteuid()}-{digest}"  # noqa: S108  # nosec B108 -- mode 0700, checked above
