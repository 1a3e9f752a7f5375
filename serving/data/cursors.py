"""Cursors for keyset pagination. A cursor is the sort key of a page's last row, encoded as opaque text."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import ContractViolation
from serving.publication_reader import Row

LONGEST_TEXT = 1_000


@dataclass(frozen=True)
class Page:
    """A page of rows and the cursor for the next page (None on the last page)."""

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True)
class Cursor:
    """Encodes and decodes the cursors of one list.

    `path` is the list's endpoint, which appears in messages. `columns` is the list's sort key with the column types.
    """

    path: str
    columns: dict[str, type]

    def page(self, rows: list[Row], limit: int) -> Page:
        """Return the first `limit` rows as a page. If there is a next page, `rows` must have one more row."""
        shown = rows[:limit]
        return Page(shown, self._encode(shown[-1]) if len(rows) > limit else None)

    def values(self, cursor: str | None) -> Row:
        """Decode a cursor to the query parameters `after_<column>`. Without a cursor, they are all None.

        Raises:
            ContractViolation: the cursor is not from this list.
        """
        key = [None] * len(self.columns) if cursor is None else self._decode(cursor)
        return {f"after_{name}": value for name, value in zip(self.columns, key, strict=True)}

    def _encode(self, last: Row) -> str:
        text = json.dumps([last[name] for name in self.columns], default=str)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _decode(self, cursor: str) -> Sequence[Any]:
        unknown = ContractViolation("unknown_cursor", f"GET {self.path} did not return this cursor.")
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            key = json.loads(text)
        except (binascii.Error, ValueError, RecursionError) as error:
            raise unknown from error
        if not isinstance(key, list) or len(key) != len(self.columns):
            raise unknown
        if not all(_is_valid(value, kind) for value, kind in zip(key, self.columns.values(), strict=True)):
            raise unknown
        return key


def _is_valid(value: object, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return _is_storable(value) if isinstance(value, str) else not isinstance(value, int) or abs(value) < 2**31


def _is_storable(text: str) -> bool:
    """Return whether PostgreSQL can store the text. JSON strings may contain characters that it cannot store."""
    if "\x00" in text or len(text) > LONGEST_TEXT:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in text)
