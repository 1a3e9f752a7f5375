"""Turn the lines of one service into entries. Lines that continue an entry, such as a traceback, are added to it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from infra.logs.entry import Entry
from infra.logs.parsers import parse

MAX_CONTINUATION = 16_384  # characters of lines that are added to one entry
_EXCEPTION_STARTS = (
    "Traceback (most recent call last):", "During handling of the above exception",
    "The above exception was the direct cause",
)  # fmt: skip


class LineParser:
    """Parses the lines of one service in their order. An entry is complete when the next one begins, or by `flush`.

    Lines of unknown form are entries of level INFO, at the time of the entry before them.
    """

    def __init__(self, service: str, host: str, start: datetime) -> None:
        self._service, self._host, self._time = service, host, start
        self._open: Entry | None = None
        self._is_in_traceback = False

    def feed(self, line: str) -> Iterator[Entry]:
        """Take a line, and return the entries that are complete."""
        if not line.strip():
            return
        entry = parse(self._service, line, self._time)
        if entry is None and self._continues(line):
            return
        self._is_in_traceback = False
        yield from self.flush()
        if entry is None:
            entry = Entry(self._time, "INFO", line, self._service, is_parsed=False)
            if line.startswith(_EXCEPTION_STARTS):
                entry = Entry(self._time, "ERROR", "a traceback", self._service, fields={"exception": line})
                self._is_in_traceback = True
        entry.host = self._host or entry.host
        self._time, self._open = entry.time, entry

    def flush(self) -> Iterator[Entry]:
        """Return the entry that is not complete yet, if there is one."""
        if self._open is not None:
            yield self._open
        self._open = None

    def _continues(self, line: str) -> bool:
        """Add a line to the open entry, and return whether it belongs there."""
        self._is_in_traceback |= line.startswith(_EXCEPTION_STARTS)
        entry = self._open
        if entry is None or not entry.is_parsed or not (self._is_in_traceback or line[0] in " \t"):
            return False
        before = entry.fields.get("exception", "")
        if len(before) < MAX_CONTINUATION:
            entry.fields["exception"] = f"{before}\n{line}" if before else line.lstrip("\t")
        return True


def entries_of(lines: Iterable[bytes], service: str, host: str = "", start: datetime | None = None) -> Iterator[Entry]:
    """Return the entries of lines, with invalid UTF-8 replaced. `start` is for lines before the first time."""
    reader = LineParser(service, host, start or datetime.now(UTC))
    for line in lines:
        yield from reader.feed(line.decode("utf-8", errors="replace").rstrip("\r\n"))
    yield from reader.flush()
