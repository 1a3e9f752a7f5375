"""Follow the log files of services while they are written and rotated, without losing or repeating lines."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from infra.logs.entry import Entry
from infra.logs.files import is_packed, open_files
from infra.logs.lines import LineParser
from infra.logs.query import Query
from lakehouse.log_records.schema import host_name

POLL_S = 0.3


class FollowedFile:
    """The log of one service. The open file is read to its end before its successor, and every file in between."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder, self._service = folder, service
        self._file: BinaryIO | None = None
        self._rest = b""
        self._parser = LineParser(service, host_name(), datetime.now(UTC))

    def skip(self, since: datetime | None) -> None:
        """Ignore files that were last written before a time, or, without a time, everything so far."""
        files = self._open_files()
        wanted = files[-1:]
        if since is not None:
            wanted = [file for file in files if os.fstat(file.fileno()).st_mtime >= since.timestamp()]
        self._file = wanted[0] if wanted else None
        _close(file for file in files if file is not self._file)
        if since is None and self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def new_entries(self) -> Iterator[Entry]:
        """Return the entries that were written since the last call. An incomplete line waits for its rest."""
        if self._file is not None:
            yield from self._read()
        for file in self._successors():
            if self._file is not None:
                yield from self._read()  # what was written before the file was renamed
                yield from self._complete_line()
            self.close()
            self._file = file
            yield from self._read()
        yield from self._parser.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _successors(self) -> list[BinaryIO]:
        """Return the files after the open one, the oldest first: several, if it was rotated repeatedly.

        If it was deleted, all that are left are newer.
        """
        files = self._open_files()
        if self._file is None:
            return files
        own = self._file.fileno()
        same = [number for number, file in enumerate(files) if os.path.sameopenfile(file.fileno(), own)]
        first = same[0] + 1 if same else 0
        _close(files[:first])
        return files[first:]

    def _open_files(self) -> list[BinaryIO]:
        files = open_files(self._folder, self._service)
        _close(file for file in files if is_packed(file))  # nothing is written to these
        return [file for file in files if not is_packed(file)]

    def _read(self) -> Iterator[Entry]:
        assert self._file is not None  # noqa: S101 -- the callers have opened it
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


def _close(files: Iterable[BinaryIO]) -> None:
    for file in files:
        file.close()


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
