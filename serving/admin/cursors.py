"""Cursors of the admin lists: the sort key of a page's last row, encoded as opaque text.

The lists of /v1 have other cursors (serving/data/lists/cursors.py), which depend on columns of the marts and on
filters.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from lakehouse.errors import ContractViolation

Key = TypeVar("Key")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page of a list, and the cursor of the next one (None on the last page)."""

    items: list[Item]
    next_cursor: str | None


@dataclass(frozen=True)
class Cursors(Generic[Key]):
    """Encodes and decodes the cursors of one list. `key` is the type of its sort key: a dataclass of plain values."""

    path: str
    key: type[Key]

    def decode(self, cursor: str | None) -> Key | None:
        """Return the position after which a page starts, or None for the first page.

        Raises:
            ContractViolation: the cursor is not from this list.
        """
        if cursor is None:
            return None
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            path, key = msgspec.json.decode(text, type=tuple[str, self.key])  # type: ignore[name-defined]
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise self._unknown() from error
        if path != self.path or not all(map(_is_storable, vars(key).values())):
            raise self._unknown()
        checked: Key = key
        return checked

    def page(self, items: Sequence[Item], limit: int, key_of: Callable[[Item], Key]) -> Page[Item]:
        """Return the first `limit` items as a page. If there is a next page, `items` must have one more item."""
        shown = list(items[:limit])
        return Page(shown, self._encode(key_of(shown[-1])) if len(items) > limit else None)

    def _encode(self, key: Key) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode((self.path, key))).decode().rstrip("=")

    def _unknown(self) -> ContractViolation:
        return ContractViolation("unknown_cursor", f"GET {self.path} did not return this cursor.")


def _is_storable(value: object) -> bool:
    """Return whether PostgreSQL can store the value: a caller may have changed the cursor."""
    if isinstance(value, str):
        return "\x00" not in value
    return not isinstance(value, int) or abs(value) < 2**63
