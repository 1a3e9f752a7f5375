"""Our commands as real processes that a test kills, freezes or terminates."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from lakehouse.settings import Settings
from tests.ingestion.crash import environment_of
from tests.polling import until

END_SECONDS = 60
# The command is the one that users run; a test's `arm` can use everything in `tests.faults.fault_injection`.
PROGRAM = """
import sys
from tests.faults.fault_injection import *

{arm}
from lakehouse.cli import main
sys.argv[0] = "okr"
main()
"""


class Worker:
    """`okr <arguments>` in a separate process. As a context manager, it leaves the group at the end.

    `arm` is Python code that runs first and may inject a fault (`tests.faults.fault_injection`) at a step of the
    protocol. The process logs to a file, because an unread pipe would block it.
    """

    def __init__(self, settings: Settings, *arguments: str, log: Path, arm: str = "") -> None:
        self.log = log
        self._name = " ".join(arguments)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(arm=arm), *arguments],
                env=environment_of(settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    def is_running(self) -> bool:
        """Return whether the process is running."""
        return self.process.poll() is None

    def text(self) -> str:
        """Return the log of the process."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, true: Callable[[], object], what: str, seconds: float = 90.0) -> None:
        """Wait until something is true while the process runs."""

        def check() -> object:
            done = true()
            assert done or self.is_running(), f"okr {self._name} ended before {what}: {self.text()}"
            return done

        try:
            until(check, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error} It logged: {self.text()}") from error

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()
        self.process.wait(END_SECONDS)

    def end(self, seconds: float = END_SECONDS) -> int:
        """Send SIGTERM, as the supervisor does; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def ended(self, seconds: float = END_SECONDS) -> int:
        """Wait until the process ends and return its status (-9 if it was killed)."""
        return self.process.wait(seconds)

    def freeze(self) -> None:
        """Send SIGSTOP: the process hangs as in a long pause of the machine."""
        self.process.send_signal(signal.SIGSTOP)

    def until_frozen(self) -> None:
        """Wait until it hangs at the step where `arm` freezes it, because an earlier SIGCONT would have no effect."""
        process = psutil.Process(self.pid)
        self.wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "it hangs at the step")

    def thaw(self) -> None:
        """Send SIGCONT: the process continues without noticing the pause."""
        self.process.send_signal(signal.SIGCONT)

    def leave(self) -> None:
        """Make it leave the group if it still runs, so that the next test does not wait for its session."""
        if not self.is_running():
            return
        self.thaw()
        try:
            self.end(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
