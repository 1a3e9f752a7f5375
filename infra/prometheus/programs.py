"""Find Prometheus, Alertmanager and the exporters, which Debian's packages install."""

import os
from shutil import which

from lakehouse.errors import PermanentError

PLACES = ("/usr/bin", "/usr/local/bin", "/usr/sbin")


def find(name: str) -> str | None:
    """Return the path of a program, or None if it is not installed. Debian's package has its name."""
    return which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))


def require(name: str) -> str:
    """Return the path of a program.

    Raises:
        PermanentError: it is not installed.
    """
    found = find(name)
    if found is None:
        raise PermanentError(f"{name} is not installed: `sudo apt-get install {name}` (Debian) installs it.")
    return found
