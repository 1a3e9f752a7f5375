"""Encrypt the personal fields of decoded events, before they are written to the lake or to PostgreSQL (ADR 34).

The rows of a batch are encrypted after validation. All keys that a batch needs are committed before its first value is
encrypted. An event that is read again gets the same values, so neither offsets nor the deduplication by event id depend
on the encryption.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from lakehouse.contracts import Contract, contracts
from lakehouse.field_encryption.cipher import BYTES_PREFIX, as_text, context, encrypt
from lakehouse.field_encryption.data_keys import DataKey, DataKeys

if TYPE_CHECKING:
    import pyarrow as pa

ADDRESS_INDEX = "index:user.email"  # the owner of the key by which e-mail addresses are compared
ADDRESS = ("user", "email")
REJECTED_VALUE = "rejected_value"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)
_optional_text = msgspec.json.Decoder(str | None)


class _Event(NamedTuple):
    """An event with personal fields: the members of its data, as they were sent, and the owner of its key."""

    contract: Contract
    members: dict[str, msgspec.Raw]
    texts: dict[str, str]
    owner: str

    @property
    def has_address(self) -> bool:
        """Whether the event has an e-mail address, which stays comparable."""
        noun, field = ADDRESS
        return self.contract.noun == noun and field in self.texts


class FieldEncryption:
    """Encrypts personal fields."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    def rows(self, topic: str, rows: "pa.Table") -> "pa.Table":
        """Return rows of a landing table with encrypted personal fields and encrypted rejected messages.

        Raises:
            RetryableError: the keys cannot be read or created.
        """
        return self._rejected(topic, self._valid(rows))

    def events(self, rows: Sequence[dict[str, Any]]) -> None:
        """Encrypt the personal fields of valid events in place; e-mail addresses remain comparable.

        Raises:
            RetryableError: the keys cannot be read or created.
        """
        events = [(row["event_type"], row["data"]) for row in rows]
        for row, data in zip(rows, self.data(events, has_index=True), strict=True):
            row["data"] = data

    def data(self, events: Sequence[tuple[str, str]], *, has_index: bool = False) -> list[str]:
        """Return the data of each event (event type and JSON) with encrypted personal fields.

        With `has_index`, the e-mail addresses of different users remain comparable.

        Raises:
            RetryableError: the keys cannot be read or created.
        """
        found = [data for _, data in events]
        personal = [number for number, (event_type, _) in enumerate(events) if event_type in personal_contracts()]
        encrypted = self._data([events[number] for number in personal], has_index=has_index)
        for number, data in zip(personal, encrypted, strict=True):
            found[number] = data
        return found

    def _valid(self, rows: "pa.Table") -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        types = rows["event_type"].combine_chunks()
        mask = pc.is_in(types, pa.array(list(personal_contracts()), types.type))
        found = rows.filter(mask)
        if not found.num_rows:
            return rows
        pairs = zip(found["event_type"].to_pylist(), found["data"].to_pylist(), strict=True)
        encrypted = self._data(list(pairs))
        data = pc.replace_with_mask(rows["data"].combine_chunks(), mask, pa.array(encrypted, pa.string()))
        return rows.set_column(rows.schema.get_field_index("data"), rows.schema.field("data"), data)

    def _rejected(self, topic: str, rows: "pa.Table") -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        mask = pc.is_valid(rows["rejected_value"].combine_chunks())
        found = rows.filter(mask).select(["kafka_partition", "kafka_offset", "logged_at", "rejected_value"]).to_pylist()
        if not found:
            return rows
        owners = [owner_of_rejected(row["logged_at"]) for row in found]
        keys = self._keys.of_owners(set(owners))
        encrypted = [
            BYTES_PREFIX
            + encrypt(keys[owner], context(REJECTED_VALUE, position_of_rejected(topic, row)), row["rejected_value"])
            for owner, row in zip(owners, found, strict=True)
        ]
        values = pc.replace_with_mask(rows["rejected_value"].combine_chunks(), mask, pa.array(encrypted, pa.binary()))
        return rows.set_column(
            rows.schema.get_field_index("rejected_value"), rows.schema.field("rejected_value"), values
        )

    def _data(self, events: Sequence[tuple[str, str]], *, has_index: bool = False) -> list[str]:
        """Return the data of each event (type and JSON) with encrypted personal fields. Other members are unchanged."""
        parsed = [_parsed(event_type, data) for event_type, data in events]
        owners = {event.owner for event in parsed if event is not None}
        if has_index and owners:
            owners.add(ADDRESS_INDEX)
        # No hash of an address is written after the key of its person was destroyed.
        uncached = {event.owner for event in parsed if event is not None and event.has_address} if has_index else set()
        keys = self._keys.of_owners(owners, uncached=uncached)
        index = keys.get(ADDRESS_INDEX)
        return [
            data if event is None else _encrypted(event, keys[event.owner], index)
            for event, (_, data) in zip(parsed, events, strict=True)
        ]


def _parsed(event_type: str, data: str) -> _Event | None:
    """Return an event with personal fields, or None if they are all empty."""
    contract = personal_contracts()[event_type]
    assert contract.personal is not None  # noqa: S101 -- personal_contracts
    members = _members.decode(data)
    texts = {}
    for field in contract.personal.fields:
        text = _optional_text.decode(members[field]) if field in members else None
        if text is not None:
            texts[field] = text
    return _Event(contract, members, texts, _owner(contract, members)) if texts else None


def _owner(contract: Contract, members: dict[str, msgspec.Raw]) -> str:
    user_id = _optional_text.decode(members["user_id"]) if "user_id" in members else None
    if user_id is not None:
        return f"user:{user_id}"
    return f"{contract.key.removesuffix('_id')}:{_text.decode(members[contract.key])}"


def _encrypted(event: _Event, key: DataKey, index: DataKey | None) -> str:
    contract, members = event.contract, event.members
    assert contract.personal is not None  # noqa: S101 -- personal_contracts
    entity_id = _text.decode(members[contract.personal.entity])
    for field, text in event.texts.items():
        bound_to = context(f"{contract.noun}.{field}", entity_id)
        is_indexed = index is not None and key.secret is not None and (contract.noun, field) == ADDRESS
        value = as_text(encrypt(key, bound_to, text.encode()), index=_keyed_hash(index, text) if is_indexed else "")
        members[field] = msgspec.Raw(b'"%s"' % value.encode())
    return msgspec.json.encode(members).decode()


def _keyed_hash(index: DataKey | None, text: str) -> str:
    """Return HMAC-SHA256 of an e-mail address, shortened to 128 bits; empty if the key of the index was destroyed."""
    if index is None or index.secret is None:
        return ""
    return hmac.new(index.secret, text.encode(), hashlib.sha256).hexdigest()[:32]


def owner_of_rejected(logged_at: datetime) -> str:
    """Return the owner of the key of rejected messages, whose persons are unknown: the month in which they came."""
    return f"rejected:{logged_at:%Y-%m}"


def position_of_rejected(topic: str, row: dict[str, Any]) -> str:
    """Return what a rejected message is bound to: its position in the log."""
    return f"{topic}/{row['kafka_partition']}/{row['kafka_offset']}"


@cache
def personal_contracts() -> dict[str, Contract]:
    """Return the contracts with personal fields, by event type."""
    return {name: contract for name, contract in contracts().items() if contract.personal is not None}
