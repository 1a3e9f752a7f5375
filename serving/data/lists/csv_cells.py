"""CSV for people: text that a spreadsheet would evaluate as a formula is escaped; numbers and dates are not.

If a text starts with `=`, `+`, `-` or `@` (or the full-width form of one of these), a tab, CR, LF or an apostrophe, an
apostrophe is put in front of it. Removing one leading apostrophe from a text restores the original.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from serving.publication_reader import Row

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'")


def csv_chunks(columns: Sequence[str], batches: Iterable[list[Row]]) -> Iterator[bytes]:
    """Yield the file in pieces: the header, then the rows of each batch. Null is an empty cell."""
    yield _encoded([columns])
    for batch in batches:
        yield _encoded([[_cell(row[name]) for name in columns] for row in batch])


def escaped(text: str) -> str:
    """Return text that no spreadsheet evaluates as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


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
