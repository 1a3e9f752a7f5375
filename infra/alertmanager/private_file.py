"""Replace a file that only its owner and one group may read, so that it never exists with other rights or in part."""

import grp
import os
from collections.abc import Callable
from pathlib import Path

from lakehouse.errors import PermanentError

PRIVATE, FOR_GROUP = 0o600, 0o640


def replace(file: Path, content: str, group: str = "", check: Callable[[Path], None] | None = None) -> None:
    """Replace a file by one with this content, which `check` may refuse. Without a group, only its owner may read it.

    Raises:
        PermanentError: there is no such group, or the file cannot be written. The old one is unchanged.
    """
    candidate = file.with_name(f".{file.name}.new")
    try:
        candidate.unlink(missing_ok=True)
        descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        if group:
            os.chown(candidate, -1, grp.getgrnam(group).gr_gid)
            candidate.chmod(FOR_GROUP)
        if check is not None:
            check(candidate)
        candidate.replace(file)
    except KeyError as error:
        raise PermanentError(
            f"{file} was not written: this host has no group {group!r}. Install Alertmanager first, or name its "
            "group with --group."
        ) from error
    except OSError as error:
        raise PermanentError(
            f"{file} was not written ({error}). Does its folder exist, does this user have the right to write there, "
            "and is there space?"
        ) from error
    finally:
        candidate.unlink(missing_ok=True)
