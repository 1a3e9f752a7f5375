"""Cursors for keyset pagination. A cursor is the sort key of a page's last row, encoded as opaque text.

If a list is sorted by its key, a cursor remains valid in later publications, because no publication changes the key of
a row. Every row that exists from the first page to the last is returned exactly once. In any other order, a row that
changes may move past the cursor, so the cursor is valid only in the publication that returned it.
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lakehouse.errors import ContractViolation
from serving.data.lists.listing import Listing, Term
from serving.errors import CursorExpired
from serving.publication_reader import Row

LONGEST_TEXT = 1_000
LARGEST_INTEGER = 2**63


@dataclass(frozen=True)
class Cursors:
    """Encodes and decodes the cursors of one list in one order. `digest` is a digest of the filters and the order."""

    listing: Listing
    order: tuple[Term, ...]
    digest: str

    def encode(self, last: Row, publication_id: int) -> str:
        """Return the cursor after a row."""
        bound_publication = None if self.listing.is_by_key(self.order) else publication_id
        text = json.dumps([self.digest, bound_publication, *(last[term.column] for term in self.order)], default=str)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def decode(self, cursor: str) -> "Position":
        """Return the position that a cursor describes.

        Raises:
            ContractViolation: this list did not return the cursor for this query.
        """
        unknown = ContractViolation(
            "unknown_cursor",
            f"GET {self.listing.path} did not return this cursor for these filters and this order. Start again without "
            "a cursor.",
        )
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            digest, bound_publication, *values = json.loads(text)
        except (binascii.Error, ValueError, TypeError, RecursionError) as error:
            raise unknown from error
        if digest != self.digest or len(values) != len(self.order) or not _is_publication(bound_publication):
            raise unknown
        if (bound_publication is None) != self.listing.is_by_key(self.order):
            raise unknown
        try:
            return Position(
                bound_publication, [self._value(term, value) for term, value in zip(self.order, values, strict=True)]
            )
        except (ValidationError, ValueError) as error:
            raise unknown from error

    def _value(self, term: Term, value: Any) -> Any:
        checked = _adapter(self.listing, term.column).validate_python(value)
        if isinstance(checked, str) and not _is_storable(checked):
            raise ValueError("text that PostgreSQL cannot store")
        if isinstance(checked, int) and abs(checked) >= LARGEST_INTEGER:
            raise ValueError("too large")
        if isinstance(checked, float) and not math.isfinite(checked):
            raise ValueError("not finite")
        return checked


@dataclass(frozen=True)
class Position:
    """A position in a list: the values of the order's columns, and the publication to which it is bound, if any."""

    publication_id: int | None
    values: Sequence[Any]

    def check(self, publication_id: int) -> None:
        """Check that the cursor is still valid.

        Raises:
            CursorExpired: a newer publication has replaced the one that the cursor belongs to.
        """
        if self.publication_id not in (None, publication_id):
            raise CursorExpired(
                f"This cursor belongs to publication {self.publication_id}, and the current one is {publication_id}. "
                "Start again without a cursor, or omit `sort`: the default order continues across publications."
            )


def _adapter(listing: Listing, column: str) -> TypeAdapter[Any]:
    annotation: Any = listing.row.model_fields[column].annotation
    return TypeAdapter(annotation)


def _is_publication(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_storable(text: str) -> bool:
    """Return whether PostgreSQL can store the text. JSON strings may contain characters that it cannot store."""
    if "\x00" in text or len(text) > LONGEST_TEXT:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in text)
