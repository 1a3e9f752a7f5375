"""Units as processes that this program starts itself, for hosts without systemd and for tests. They outlive it."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from infra.deploy.host import Host
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.readiness import READY_FILE, is_ready

MARK = "UNIT_OF_OKR_DEPLOY"  # in the environment that a process was started with, so that no file can be outdated
POLL_S = 0.05


class ChildUnits:
    """Processes that are recognised by a variable in their environment."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._folder = host.state / "units"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, unit: str) -> None:
        """Start a process, unless it runs. One that is not an API has to report that it is ready."""
        if self.pid(unit) is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        ready = self._folder / f"{unit}.ready"
        with (self._folder / f"{unit}.log").open("ab") as log:
            child = subprocess.Popen(
                self._command(unit), env=self._host.environment() | {MARK: self._mark(unit), READY_FILE: str(ready)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._children[unit] = child
        deadline = time.monotonic() + self._host.limits.start_s
        while unit not in self._apis and not is_ready(ready, child.pid):
            if child.poll() is not None or time.monotonic() > deadline:
                self.stop(unit)
                raise RetryableError(f"{unit} did not start. `{self.log(unit)}` shows why.")
            time.sleep(POLL_S)

    def stop(self, unit: str) -> None:
        """Send SIGTERM, and SIGKILL after the limit."""
        number: signal.Signals | None = signal.SIGTERM
        deadline = time.monotonic() + self._host.limits.stop_s
        while (pid := self.pid(unit)) is not None:
            if number is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            number = signal.SIGKILL if time.monotonic() > deadline else None
            time.sleep(POLL_S)
        if (child := self._children.pop(unit, None)) is not None:
            child.wait()

    def is_enabled(self, unit: str) -> bool:
        """Return whether the host has a command for the unit."""
        return unit in self._host.commands

    def pid(self, unit: str) -> int | None:
        """Return the process that was started with the mark of the unit."""
        if unit in self._children:
            self._children[unit].poll()  # a process that has ended disappears only then
        mark = f"{MARK}={self._mark(unit)}".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        return int(folder.name)
                except OSError:  # it has just ended, or belongs to another user
                    continue
        return None

    def log(self, unit: str) -> str:
        """Return the command that shows the unit's log file."""
        return f"tail -n 50 {self._folder / f'{unit}.log'}"

    def _mark(self, unit: str) -> str:
        return f"{self._folder}/{unit}"

    @property
    def _apis(self) -> set[str]:
        return {self._host.api_unit(colour) for colour in ("blue", "green")}

    def _command(self, unit: str) -> list[str]:
        if unit not in self._host.commands:
            raise PermanentError(f"The setting `commands` of okr deploy has no command for the unit {unit}.")
        return self._host.commands[unit]
