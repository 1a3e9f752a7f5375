"""Follow the log files of services while they are written and rotated, without losing or repeating lines."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from infra.logs.entry import Entry
from infra.logs.files import files_of
from infra.logs.lines import LineParser
from infra.logs.query import Query
from lakehouse.log_records.schema import host_name

POLL_S = 0.3


class FollowedFile:
    """The log of one service. The open file is read to its end before its successor, and every file in between."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder, self._service = folder, service
        self._path = folder / f"{service}.log"
        self._file: BinaryIO | None = None
        self._rest = b""
        self._parser = LineParser(service, host_name(), datetime.now(UTC))

    def skip(self, since: datetime | None) -> None:
        """Ignore files that were last written before a time, or, without a time, everything so far."""
        for path in files_of(self._folder, self._service) if since else [self._path]:
            with suppress(OSError):
                if since is None or path.stat().st_mtime >= since.timestamp():
                    self._open(path)
                    break
        if since is None and self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def new_entries(self) -> Iterator[Entry]:
        """Return the entries that were written since the last call. An incomplete line waits for its rest."""
        if self._file is None:
            self._open(next(iter(files_of(self._folder, self._service)), self._path))
        if self._file is None:
            return
        yield from self._read()
        for path in self._successors():
            yield from self._read()  # what was written before the file was renamed
            yield from self._complete_line()
            self._open(path)
            yield from self._read()
        yield from self._parser.flush()

    def _successors(self) -> list[Path]:
        """Return the files after the open one, the oldest first: several, if it was rotated repeatedly."""
        assert self._file is not None  # noqa: S101 -- the caller has opened it
        own = os.fstat(self._file.fileno())
        newer: list[Path] = []
        for path in reversed(files_of(self._folder, self._service)):
            with suppress(OSError):
                if os.path.samestat(path.stat(), own):
                    return newer[::-1]
                newer.append(path)
        # It was deleted. What is left of the others is newer.
        return newer[::-1]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self, path: Path) -> None:
        self.close()
        try:
            self._file = path.open("rb")
        except OSError:
            self._file = None

    def _read(self) -> Iterator[Entry]:
        if self._file is None:
            return
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # truncated, as logrotate's copytruncate does
            self._file.seek(0)
            self._rest = b""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            yield from self._parser.feed(line.decode("utf-8", errors="replace"))

    def _complete_line(self) -> Iterator[Entry]:
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._parser.feed(rest.decode("utf-8", errors="replace"))


def follow(
    folder: Path, services: Sequence[str], query: Query, wait: Callable[[float], object] = time.sleep
) -> Iterator[Entry]:
    """Return the entries from `query.since`, or from now on, without end."""
    followed = [FollowedFile(folder, service) for service in services]
    for each in followed:
        each.skip(query.since)
    try:
        while True:
            new = [entry for each in followed for entry in each.new_entries() if query.matches(entry)]
            yield from sorted(new, key=lambda entry: entry.time)
            wait(POLL_S)
    finally:
        for each in followed:
            each.close()
