"""Run a program without root privileges, because PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from lakehouse.errors import PermanentError

USER = "nobody"
# The clone or the state folder may be below /root (mode 700), so the program keeps one of these capabilities, which
# lets it ignore the modes of folders. The first one grants less, but a container may not have it.
CAPABILITIES = ("dac_read_search", "dac_override")


def is_root() -> bool:
    """Return whether this process runs as root."""
    return os.geteuid() == 0


def give_ownership(path: Path) -> None:
    """Make the unprivileged user the owner of a file or folder if this process runs as root."""
    if is_root():
        user = _unprivileged_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def require_user_name() -> None:
    """Check early that the current user id has a name, which `initdb` requires (the server does not).

    Raises:
        PermanentError: the user id has no name.
    """
    if is_root():
        return
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise PermanentError(
            f"PostgreSQL's initdb needs a user name, and user id {os.geteuid()} has no entry in /etc/passwd. Add one, "
            "or run as a user that has one."
        ) from error


def command_prefix() -> list[str]:
    """Return the prefix that makes a command run without root privileges.

    Raises:
        PermanentError: this process runs as root and cannot drop its privileges.
    """
    if not is_root():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PermanentError(
            "PostgreSQL does not run as root, and `setpriv` (package util-linux), which drops root privileges, is "
            "missing. Install util-linux, or run as another user."
        )
    user = _unprivileged_user()
    options = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    errors = []
    for capability in CAPABILITIES:
        attempt = [*options, *_options_to_keep(capability)]
        result = subprocess.run([*attempt, "true"], capture_output=True, text=True, check=False, timeout=10)
        if result.returncode == 0:
            return attempt
        errors.append(result.stderr.strip())
    raise PermanentError(
        f"PostgreSQL does not run as root, and root privileges cannot be dropped to user {USER} here "
        f"({'; '.join(errors)}). Run as another user."
    )


def _options_to_keep(capability: str) -> list[str]:
    # PostgreSQL checks its binaries with access(2), which respects capabilities only if no_setuid_fixup is set.
    return [
        f"--inh-caps=-all,+{capability}",
        f"--ambient-caps=+{capability}",
        f"--bounding-set=-all,+{capability}",
        "--securebits=+no_setuid_fixup,+noroot",
    ]


def _unprivileged_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError as error:
        raise PermanentError(
            f"PostgreSQL does not run as root, and the system has no user {USER!r} to run it as. Run as another user."
        ) from error
