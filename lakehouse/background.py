"""Background threads that survive every exception and report their health.

An unhandled exception ends a plain thread silently. (A missing certificate file once stopped all announcements for
hours, while landing continued.) Therefore every thread in this project is a `BackgroundThread`; a test checks this.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.atomic_replace import replace_file
from lakehouse.logs import get_logger
from lakehouse.retry import Backoff

log = get_logger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SILENT_LIMIT_S = 300.0  # a longer iteration probably hangs in a call without a timeout
FOLDER = Path("run", "threads")  # in the state folder


@dataclass(frozen=True)
class ThreadProblem:
    """A thread's last error, its failures since the last success, and the time of the first failure (ISO, UTC)."""

    thread: str
    error: str
    failures: int
    since: str


class BackgroundThread:
    """Runs `work` until `stopping` is set. After any exception, `work` is called again after a pause.

    `work` contains its own loop and calls `report_success` after each iteration. A failure is logged and stored in
    `problem`. If a `state` folder is given, the failure is also written to a file, which `okr status` reads.
    """

    def __init__(
        self, name: str, work: Callable[[], None], stopping: threading.Event, *, state: Path | None = None
    ) -> None:
        self.name = name
        self.problem: ThreadProblem | None = None
        self._work = work
        self._succeeded_at = time.monotonic()
        self._stopping = stopping
        self._file = None if state is None else state / FOLDER / f"{name}.json"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Return whether the thread is running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread and delete the failure that an earlier process recorded."""
        self._succeeded_at = time.monotonic()
        self._delete_file()
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread ends; set `stopping` first."""
        if self._thread.ident is not None:  # otherwise it was never started
            self._thread.join(timeout_s)

    def concern(self, silent_limit_s: float = SILENT_LIMIT_S) -> str | None:
        """Return the thread's current problem in one sentence, without the text of the error, or None."""
        if not self.is_alive:
            return f"The thread {self.name} is not running."
        if self.problem is not None:
            times, since = self.problem.failures, self.problem.since
            return f"The thread {self.name} has failed {times} times since {since}; the service's log file says why."
        if (silent_s := time.monotonic() - self._succeeded_at) > silent_limit_s:
            return f"The thread {self.name} has not completed an iteration for {silent_s:.0f} s."
        return None

    def report_success(self) -> None:
        """Record a successful iteration and clear `problem`."""
        self._succeeded_at = time.monotonic()
        if self.problem is not None:
            self.problem = None
            self._delete_file()

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            started = time.monotonic()
            try:
                self._work()
                if self._stopping.is_set():
                    return
                pause_s = backoff.pause()
                self._record("it returned although it was not told to stop", None, pause_s)
            except BaseException as error:  # a panic in a Rust library is not an Exception
                if time.monotonic() - started > LONGEST_PAUSE_S:
                    backoff.reset()
                pause_s = backoff.pause()
                self._record(f"{type(error).__name__}: {error}", error, pause_s)
            if self._stopping.wait(pause_s):
                return

    def _record(self, error: str, cause: BaseException | None, pause_s: float) -> None:
        before = self.problem
        since = before.since if before else datetime.now(UTC).isoformat(timespec="seconds")
        self.problem = ThreadProblem(self.name, error, 1 + (before.failures if before else 0), since)
        with contextlib.suppress(Exception):  # a logging failure must not end the thread
            log.error("a background thread failed; restarting it", thread=self.name, error=error, pause_seconds=pause_s,
                      exc_info=cause)  # fmt: skip
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                replace_file(self._file, json.dumps(asdict(self.problem)))

    def _delete_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)


def thread_problems(state: Path) -> list[ThreadProblem]:
    """Return the current failures of all threads that use a state folder, sorted by thread name."""
    found = []
    for file in sorted((state / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(ThreadProblem(**json.loads(file.read_text(encoding="utf-8"))))
    return found
