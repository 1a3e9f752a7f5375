"""Running a program without root's rights. PostgreSQL refuses to run as root, and it is right."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from lakehouse.errors import PermanentError

USER = "nobody"
# The clone or the state may lie below /root (mode 700). Reading past folder modes is all that is kept of root's rights;
# a container may have taken the narrower of the two away.
CAPABILITIES = ("dac_read_search", "dac_override")


def is_root() -> bool:
    """Tell whether this process runs as root."""
    return os.geteuid() == 0


def give(path: Path) -> None:
    """Make the unprivileged user the owner of a file or folder; nothing to do when we are not root."""
    if is_root():
        user = _user()
        os.chown(path, user.pw_uid, user.pw_gid)


def require_name() -> None:
    """Say at once what `initdb` would say after everything else had started.

    Raises:
        PermanentError: this user id has no name, which initdb insists on (the server itself does not).
    """
    if is_root():
        return
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise PermanentError(
            f"PostgreSQL's initdb needs a user name, and user id {os.geteuid()} has no entry in /etc/passwd. Add one, "
            "or run as a user who has one."
        ) from error


def prefix() -> list[str]:
    """Return the words to put before a command so that it runs without root's rights.

    Raises:
        PermanentError: we are root and cannot drop its rights here.
    """
    if not is_root():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PermanentError(
            "PostgreSQL does not run as root, and `setpriv` (package util-linux) that would drop root's rights is "
            "missing. Install util-linux, or run as another user."
        )
    user = _user()
    plain = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    answers = []
    for capability in CAPABILITIES:
        attempt = [*plain, *_keep(capability)]
        answer = subprocess.run([*attempt, "true"], capture_output=True, text=True, check=False, timeout=10)
        if answer.returncode == 0:
            return attempt
        answers.append(answer.stderr.strip())
    raise PermanentError(
        f"PostgreSQL does not run as root, and root's rights cannot be dropped to user {USER} here "
        f"({'; '.join(answers)}). Run as another user."
    )


def _keep(capability: str) -> list[str]:
    # access(2), which PostgreSQL asks about its own binaries, honours capabilities only with no_setuid_fixup set.
    return [
        f"--inh-caps=-all,+{capability}",
        f"--ambient-caps=+{capability}",
        f"--bounding-set=-all,+{capability}",
        "--securebits=+no_setuid_fixup,+noroot",
    ]


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError as error:
        raise PermanentError(
            f"PostgreSQL does not run as root, and the system has no user {USER!r} to run it as. Run as another user."
        ) from error
