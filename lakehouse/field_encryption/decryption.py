"""What readers see of encrypted values: the plaintext, or in its place why it cannot be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.field_encryption.cipher import ValueChanged, context, decrypt, from_text, key_id_of
from lakehouse.field_encryption.data_keys import DataKey, DataKeys
from lakehouse.logs import get_logger

ERASED = "(erased)"
NOT_READABLE = "(not readable)"
NO_KEY = "(encrypted)"
UNREADABLE = frozenset({ERASED, NOT_READABLE, NO_KEY})

log = get_logger(__name__)


@dataclass(frozen=True)
class PersonalColumn:
    """A personal field in rows: its name in the contract (`check_in.note`), and the column with its entity's id."""

    field: str
    entity_column: str


@dataclass(frozen=True)
class BoundValue:
    """An encrypted value (None: it is not encrypted), with the field and the entity that it must belong to."""

    field: str
    entity_id: str
    encrypted: bytes | None


class Decryption:
    """Decrypts values for callers that may read them. Without keys, encrypted values stay unreadable."""

    def __init__(self, keys: DataKeys | None) -> None:
        self._keys = keys

    def rows(self, rows: Sequence[dict[str, Any]], columns: Mapping[str, PersonalColumn]) -> None:
        """Replace encrypted texts in rows, in place. Other texts stay as they are.

        Raises:
            RetryableError: the data keys cannot be read.
        """
        found = [
            (row, name, BoundValue(column.field, str(row[column.entity_column]), from_text(row[name])))
            for row in rows
            for name, column in columns.items()
            if isinstance(row.get(name), str)
        ]
        for (row, name, _), plain in zip(found, self.plain([value for *_, value in found]), strict=True):
            if plain is not None:
                row[name] = plain.decode() if isinstance(plain, bytes) else plain

    def plain(self, values: Sequence[BoundValue]) -> list[bytes | str | None]:
        """Return the plaintext of each value as bytes, or a text that says why it cannot be read.

        Raises:
            RetryableError: the data keys cannot be read.
        """
        wanted = [key_id_of(each.encrypted) for each in values if each.encrypted is not None]
        known = self._keys.by_ids(wanted) if self._keys is not None else {}
        return [None if each.encrypted is None else self._plain(each, each.encrypted, known) for each in values]

    def _plain(self, value: BoundValue, encrypted: bytes, known: Mapping[Any, DataKey]) -> bytes | str:
        if self._keys is None:
            return NO_KEY
        key_id = key_id_of(encrypted)
        if key_id not in known:
            log.error(
                "the data key of an encrypted value does not exist or is damaged", field=value.field, key_id=str(key_id)
            )
            return NOT_READABLE
        try:
            plaintext = decrypt(known[key_id], context(value.field, value.entity_id), encrypted)
        except ValueChanged as error:
            log.error(str(error), field=value.field, key_id=str(key_id))  # noqa: TRY400 -- the line says it all
            return NOT_READABLE
        return ERASED if plaintext is None else plaintext
