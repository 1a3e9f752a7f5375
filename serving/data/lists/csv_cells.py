"""CSV for people: text that a spreadsheet would run as a formula is escaped, numbers and dates are not.

A cell of text that starts with one of `=`, `+`, `-`, `@`, a tab, CR, LF, their full-width forms or an apostrophe gets
an apostrophe in front. Removing one leading apostrophe from a cell of text restores the original.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from serving.publication_reader import Row

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")


def csv_chunks(columns: Sequence[str], batches: Iterable[list[Row]]) -> Iterator[bytes]:
    """Yield the file in pieces: the header, then the rows of each batch. Null is an empty cell."""
    yield _encoded([columns])
    for batch in batches:
        yield _encoded([[_cell(row[name]) for name in columns] for row in batch])


def escaped(text: str) -> str:
    """Return text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _cell(value: Any) -> Any:
    match value:
        case str():
            return escaped(value)
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case float():
            return repr(value)
        case _:
            return value


def _encoded(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
