"""CPU seconds of PostgreSQL for one database, sampled over time: independent of other load, unlike wall-clock time."""

import bisect
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from lakehouse.settings import Settings

EVERY_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


class ServerCpu:
    """Sample the CPU seconds of a database's backends and all parallel workers, as a context manager."""

    def __init__(self, settings: Settings) -> None:
        """Find the server of the settings, which runs on this machine."""
        dsn = settings.require("dsn_owner")
        with psycopg.connect(dsn) as connection:
            self._postmaster = psutil.Process(connection.info.backend_pid).ppid()
        self._marks = (f" {conninfo_to_dict(dsn)['dbname']} ", "parallel worker")
        self._spent: dict[int, float] = {}  # by process; for ended processes, the last sample
        self._ours: dict[int, bool] = {}
        self._at: list[float] = []
        self._seconds: list[float] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._sample_all, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def between(self, started: float, ended: float) -> float:
        """Return the CPU seconds spent between two moments (of `time.time`) that were sampled."""
        return self._until(ended) - self._until(started)

    def _until(self, moment: float) -> float:
        after = bisect.bisect_left(self._at, moment)
        if after == 0:
            return 0.0
        if after == len(self._at):
            return self._seconds[-1]
        earlier, later = self._at[after - 1], self._at[after]
        share = (moment - earlier) / (later - earlier)
        return self._seconds[after - 1] + share * (self._seconds[after] - self._seconds[after - 1])

    def _sample_all(self) -> None:
        children = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children")
        while not self._ending.wait(EVERY_S):
            for pid in map(int, children.read_text(encoding="ascii").split()):
                self._sample(pid)
            self._at.append(time.time())
            self._seconds.append(sum(self._spent.values()))

    def _sample(self, pid: int) -> None:
        try:
            if not self._ours.get(pid):  # a backend shows its database only after its start
                title = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
                self._ours[pid] = any(mark in title for mark in self._marks)
            if self._ours[pid]:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                self._spent[pid] = (int(fields[11]) + int(fields[12])) / TICKS
        except (FileNotFoundError, ProcessLookupError):
            self._ours.pop(pid, None)  # it ended; what it used until its last sample stays counted
