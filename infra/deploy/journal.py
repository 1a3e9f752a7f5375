"""The record of the current and the last deployment, which survives a kill, and the lock that allows one at a time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.atomic_replace import replace_file
from lakehouse.errors import NotPossible, PermanentError

DONE = "done"


@dataclass
class Entry:
    """One deployment. `outcome` is empty until it has ended. Times are for people only: nothing is decided by them."""

    release: str
    previous: str | None
    kind: str
    step: str = "check"
    started_at: str = ""
    ended_at: str = ""
    outcome: str = ""
    workers: list[str] = field(default_factory=list)
    is_contracted: bool = False
    """Whether the schema was contracted afterwards, so that `previous` no longer works on it."""
    colour: str = ""
    """The colour that is to serve the release; empty until it is chosen."""
    replaces: dict[str, Any] | None = None
    """The last completed deployment before this one, which counts again if this one is undone."""

    @property
    def is_interrupted(self) -> bool:
        """Whether the deployment was killed, unless it is still running."""
        return not self.outcome


class Journal:
    """The files of a host's deployments: `current.json`, `history.jsonl` and `lock`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "current.json"
        self._history = folder / "history.jsonl"

    def last(self) -> Entry | None:
        """Return the current or the last deployment, or None before the first.

        Raises:
            PermanentError: the file is damaged.
        """
        try:
            return Entry(**json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise PermanentError(
                f"{self._file} is not a journal of okr deploy ({error}). Move it away: the links and processes show "
                "what is deployed."
            ) from error

    def write(self, entry: Entry) -> None:
        """Record a deployment and its step, durably.

        Raises:
            OSError: the disk is full; the previous record is unchanged.
        """
        replace_file(self._file, json.dumps(asdict(entry)) + "\n")

    def end(self, entry: Entry, outcome: str, *, is_undone: bool = False) -> None:
        """Record how a deployment ended. If it was undone, the last completed one before it is the last one again."""
        entry.outcome, entry.ended_at = outcome, now()
        with self._history.open("a+", encoding="utf-8") as history:
            # A line that a full disk has cut off stays alone.
            start = "" if self._history.read_bytes()[-1:] in (b"", b"\n") else "\n"
            history.write(start + json.dumps(asdict(entry) | {"replaces": None}) + "\n")
        if not is_undone:
            self.write(entry)
        elif entry.replaces is None:
            self._file.unlink(missing_ok=True)
        else:
            self.write(Entry(**entry.replaces))

    def last_line(self) -> Entry | None:
        """Return the newest complete line of the history, whatever its outcome."""
        try:
            lines = self._history.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            with suppress(ValueError, TypeError):  # cut off by a full disk, or of another version
                return Entry(**json.loads(line))
        return None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock of this host's deployments. The kernel releases it if the process dies.

        Raises:
            NotPossible: another deployment is running.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NotPossible(
                    f"Another deployment is running on this host (process {file.read() or 'unknown'}). "
                    "`okr deploy status` shows its step. Nothing was changed."
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def now() -> str:
    """Return the time for the journal, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
