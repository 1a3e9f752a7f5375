"""Short ways to a deep state folder, for those who bound a path's length: UNIX sockets, MLflow's tables."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from lakehouse.errors import PermanentError


def private_folder(state: Path) -> Path:
    """Return a short folder that belongs to this state folder and to us alone; it may go with a reboot.

    Raises:
        PermanentError: it exists and is somebody else's.
    """
    folder = _place(state)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermanentError(f"{folder} should be a private folder of ours and is not. Remove it, then start again.")
    return folder


def short_link(state: Path, target: Path) -> Path:
    """Return a short link to a path in the state folder; the same one at each call, made again when it is gone."""
    link = private_folder(state) / target.name
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return link


def remove_private_folder(state: Path) -> None:
    """Remove the short folder, when there is one."""
    shutil.rmtree(_place(state), ignore_errors=True)


def _place(state: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path("/tmp") / f"okr-{os.geteuid()}-{digest}"  # noqa: S108 -- made 0700 and checked above
