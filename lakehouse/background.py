"""Threads that work beside something else: no exception ends one, and each can be asked how it is.

A thread that died took its work with it in silence: landing went on, and nothing was announced for hours, because a
certificate file was missing. So every thread of ours is one of these (a test asserts it).
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

log = get_logger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SILENT_LIMIT_S = 300.0  # a turn that takes longer hangs in something that has no limit of its own
FOLDER = Path("run", "threads")  # below the state folder


@dataclass(frozen=True)
class Trouble:
    """What ended a turn of a thread's work, how often since it last went well, and since when (ISO, UTC)."""

    thread: str
    error: str
    failures: int
    since: str


class BackgroundThread:
    """Runs `work` until `stopping` is set. Whatever it raises is logged, then `work` is called again after a pause.

    `work` loops by itself and calls `went_well` after a turn. A `state` folder keeps the trouble as a file, which
    `okr status` shows; without one only the log and `trouble` tell.
    """

    def __init__(
        self, name: str, work: Callable[[], None], stopping: threading.Event, *, state: Path | None = None
    ) -> None:
        self.name = name
        self.trouble: Trouble | None = None
        self._work = work
        self._well_at = time.monotonic()
        self._stopping = stopping
        self._file = None if state is None else state / FOLDER / f"{name}.json"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start; what an earlier process noted is forgotten."""
        self._well_at = time.monotonic()
        self._forget()
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end, which `stopping` asks for."""
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(timeout_s)

    def concern(self, silent_limit_s: float = SILENT_LIMIT_S) -> str | None:
        """Say in a line what is wrong with it now, without what the error said; None if nothing is."""
        if not self.is_alive:
            return f"The thread {self.name} does not run."
        if self.trouble is not None:
            times, since = self.trouble.failures, self.trouble.since
            return f"The thread {self.name} failed {times} times since {since}; the log says why."
        if (silent_s := time.monotonic() - self._well_at) > silent_limit_s:
            return f"The thread {self.name} has not ended a turn of its work for {silent_s:.0f} s."
        return None

    def went_well(self) -> None:
        """Note that a turn of the work succeeded: what was wrong is over."""
        self._well_at = time.monotonic()
        if self.trouble is not None:
            self.trouble = None
            self._forget()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            begun = time.monotonic()
            try:
                self._work()
                if self._stopping.is_set():
                    return
                self._note("it returned without being told to stop", None, pause_s)
            except BaseException as error:  # a panic of a library written in Rust is no Exception
                if time.monotonic() - begun > LONGEST_PAUSE_S:
                    pause_s = FIRST_PAUSE_S
                self._note(f"{type(error).__name__}: {error}", error, pause_s)
            if self._stopping.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _note(self, error: str, cause: BaseException | None, pause_s: float) -> None:
        before = self.trouble
        since = before.since if before else datetime.now(UTC).isoformat(timespec="seconds")
        self.trouble = Trouble(self.name, error, 1 + (before.failures if before else 0), since)
        with contextlib.suppress(Exception):  # a log or a disk that takes nothing must not end the thread either
            log.error("a background thread failed and goes on", thread=self.name, error=error, pause_seconds=pause_s,
                      exc_info=cause)  # fmt: skip
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                replace_file(self._file, json.dumps(asdict(self.trouble)))

    def _forget(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)


def troubles(state: Path) -> list[Trouble]:
    """Return what threads of the processes of a state folder noted and have not got over, by name."""
    found = []
    for file in sorted((state / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(Trouble(**json.loads(file.read_text(encoding="utf-8"))))
    return found
