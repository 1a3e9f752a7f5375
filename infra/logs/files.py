"""The log files of the local stack: `<state>/logs/<service>.log`, and the rotated ones beside them."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from infra.logs.entry import Entry
from infra.logs.lines import entries_of
from infra.logs.query import Query, in_order
from lakehouse.log_records.schema import host_name

# <service>.log.1 and <service>.log.2.gz; a higher number is older.
_ROTATED = re.compile(r"(?P<service>[\w-]+)\.log(?:\.(?P<number>\d+))?(?P<packed>\.gz)?")
SUPERVISOR = "supervisord"


def services_with_logs(folder: Path) -> list[str]:
    """Return the services that have a log file."""
    found = (_ROTATED.fullmatch(path.name) for path in _files(folder))
    return sorted({each["service"] for each in found if each})


def files_of(folder: Path, service: str) -> list[Path]:
    """Return the files of a service, the oldest first."""
    numbered = []
    for path in _files(folder):
        found = _ROTATED.fullmatch(path.name)
        if found and found["service"] == service:
            numbered.append((int(found["number"] or 0), path))
    return [path for _, path in sorted(numbered, key=lambda each: -each[0])]


def open_files(folder: Path, service: str) -> list[BinaryIO]:
    """Open the files of a service, and return them, the oldest first.

    They are opened in the opposite order: a rotation meanwhile gives a file an older name, so one may be seen twice,
    and is left out then, but none is missed.
    """
    found: list[BinaryIO] = []
    for path in reversed(files_of(folder, service)):
        with suppress(OSError):  # deleted meanwhile, or no rights
            file = path.open("rb")
            if any(os.path.sameopenfile(file.fileno(), each.fileno()) for each in found):
                file.close()
            else:
                found.append(file)
    return found[::-1]


def read(folder: Path, services: Sequence[str], query: Query) -> Iterator[Entry]:
    """Return the entries of services in the order of their times."""
    return merge(*(_service(folder, each, query) for each in services), key=lambda entry: entry.time)


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Return the lines of a file, also of a compressed or damaged one: what cannot be read ends it."""
    try:
        file.seek(0)
        for line in gzip.GzipFile(fileobj=file) if is_packed(file) else file:  # noqa: UP028 -- which closes the file
            yield line
    except (OSError, EOFError, zlib.error):
        return


def is_packed(file: BinaryIO) -> bool:
    """Return whether a file is compressed."""
    return file.name.endswith(".gz")


def last_message(path: Path, service: str) -> str:
    """Return the last line of a log as text for people: its event and, if it has one, its error."""
    try:
        lines = path.read_bytes()[-20_000:].splitlines(keepends=True)[-50:]
    except OSError:
        lines = []
    entry = None
    for entry in entries_of(lines, service):  # noqa: B007 -- the last one
        pass
    if entry is None:
        return "no output"
    error = str(entry.fields.get("error") or entry.fields.get("exception") or "").strip().rpartition("\n")[2]
    return f"{entry.event.strip()}: {error}" if error else entry.event.strip()


def _service(folder: Path, service: str, query: Query) -> Iterator[Entry]:
    def found() -> Iterator[Entry]:
        with ExitStack() as stack:
            for file in [stack.enter_context(file) for file in open_files(folder, service)]:
                changed = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                if query.since is None or changed >= query.since:
                    start = _first_time(file, service, changed)
                    yield from entries_of(lines_of(file), service, host_name(), start)

    return (entry for entry in in_order(found()) if query.matches(entry))


def _first_time(file: BinaryIO, service: str, changed: datetime) -> datetime:
    """Return the time of the first line that has one, for lines before it, or when the file was changed."""
    for line in islice(lines_of(file), 100):
        for entry in entries_of([line], service, start=changed):
            if entry.time != changed:
                return entry.time
    return changed


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []
