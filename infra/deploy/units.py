"""Start and stop the processes of a host: systemd units on servers, child processes elsewhere."""

import os
import subprocess
from pathlib import Path
from typing import Protocol

from infra.deploy.host import Host
from lakehouse.errors import RetryableError

MODULES = "PYTHONPATH="
LONGEST_START_S = 3_600.0  # more than the TimeoutStartSec of any unit
LONGEST_STOP_S = 900.0  # more than the TimeoutStopSec of any unit


class Units(Protocol):
    """The processes of a host, by the names of their units."""

    def start(self, unit: str) -> None:
        """Start a unit, now and after a reboot, and wait until it runs.

        Raises:
            RetryableError: it did not start.
        """

    def stop(self, unit: str) -> None:
        """Stop a unit, even after a reboot. It completes what it has accepted, and is killed if that takes too long."""

    def is_enabled(self, unit: str) -> bool:
        """Return whether this host is meant to run a unit: with systemd, whether it starts after a reboot."""

    def pid(self, unit: str) -> int | None:
        """Return the process of a unit, or None if it does not run."""

    def log(self, unit: str) -> str:
        """Return the command that shows the unit's log."""


class SystemdUnits:
    """Units of systemd. Those that report their readiness (Type=notify) are ready when `start` returns."""

    def __init__(self, host: Host) -> None:
        self._limits = host.limits

    def start(self, unit: str) -> None:
        """Enable and start a unit."""
        self._systemctl(self._limits.start_s, "reset-failed", unit, check=False)
        # The unit's TimeoutStartSec applies: a state consumer may have to rebuild its tables first.
        self._systemctl(LONGEST_START_S, "enable", "--now", unit)

    def stop(self, unit: str) -> None:
        """Disable and stop a unit. Its TimeoutStopSec limits how long it drains."""
        self._systemctl(LONGEST_STOP_S, "disable", "--now", unit)

    def is_enabled(self, unit: str) -> bool:
        """Return whether a unit starts after a reboot."""
        return self._systemctl(10, "is-enabled", unit, check=False).startswith("enabled")

    def pid(self, unit: str) -> int | None:
        """Return the main process of a unit."""
        shown = self._systemctl(10, "show", "--property=MainPID", "--value", unit).strip()
        return int(shown) or None

    def log(self, unit: str) -> str:
        """Return the command that shows the unit's journal."""
        return f"journalctl -u {unit} -n 50"

    def _systemctl(self, timeout_s: float, *arguments: str, check: bool = True) -> str:
        command = ["systemctl", *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise RetryableError(f"`{' '.join(command)}` took longer than {timeout_s:.0f} s.") from None
        if check and done.returncode != 0:
            raise RetryableError(f"`{' '.join(command)}` failed: {' '.join(done.stderr.split())}")
        return done.stdout


def running_release(host: Host, units: Units, unit: str) -> str | None:
    """Return the release that the process of a unit was started from, or None if it does not run.

    The command `okr` starts Python by its physical path, so a link that has been changed since does not matter.
    Airflow's API server replaces its command line by a title, but its environment still has the path of its modules.
    """
    pid = units.pid(unit)
    if pid is None:
        return None
    try:
        program = _words(pid, "cmdline")[:1]
        modules = [word.removeprefix(MODULES) for word in _words(pid, "environ") if word.startswith(MODULES)]
    except (FileNotFoundError, ProcessLookupError):
        return None
    releases = (host.root / "releases").resolve()
    inside = [
        path
        for path in map(Path, (*program, *os.pathsep.join(modules).split(os.pathsep)))
        if path.is_relative_to(releases)
    ]
    return inside[0].relative_to(releases).parts[0] if inside else "unknown"


def _words(pid: int, file: str) -> list[str]:
    return [os.fsdecode(word) for word in Path(f"/proc/{pid}/{file}").read_bytes().split(b"\0")]
