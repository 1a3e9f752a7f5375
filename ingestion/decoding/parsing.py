"""Parse messages into columns right after they are read: msgspec decodes each with the model of its contract."""

import base64
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ingestion.contract_validation import MAX_VALUE_BYTES
from ingestion.decoding.event_types import decoder, event_types
from ingestion.storable_json import ESCAPE
from lakehouse.errors import PermanentError
from lakehouse.lake import PLACE_COLUMNS, landing_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

# `data` is sliced from this many bytes before its brace, the length of both spellings of the member's name. If there is
# no such brace, the slice is short or starts elsewhere, and `batch_validation.DATA` does not match it.
DATA_AT = len(',"data":')
_BROKER_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME
_SIGNS_OF_AN_ESCAPE = (b"\\u0000", b"\\ud", b"\\uD")  # prefixes of `ESCAPE`'s matches, for a fast search
_escape = re.compile(ESCAPE.encode())
_unreadable = [("", None)]
UNREADABLE_HEADERS = json.dumps("the client cannot read them: a name is not UTF-8")


class _Nothing:
    """Replaces an event that msgspec did not accept: every attribute is None, including those of its payload."""

    id = source = subject = time = recordedtime = recordedassumed = None

    @property
    def data(self) -> "_Nothing":
        return self

    def __getattr__(self, name: str) -> None:
        return None


NOTHING: Final = _Nothing()


@cache
def parsed_schema() -> "pa.Schema":
    """Return the columns of parsed messages. Grain: one message.

    The columns of the raw message come first, then those of the event as msgspec decoded it. Its times are still text.
    `data` is a slice of the message, from DATA_AT bytes before the first inner brace to the last byte, exclusive. If
    msgspec did not accept the message, the event's columns are null and `data` is meaningless. Otherwise,
    `batch_validation.accept_by_column` still has to check the remaining rules.
    """
    import pyarrow as pa

    types = {field.name: field.type for field in landing_schema()}
    moments = dict.fromkeys(("occurred_at", "recorded_at"), pa.string())
    message = {"key": pa.binary(), "value": pa.large_binary(), "headers": pa.string()}
    event = dict.fromkeys(("event_id", "event_type", "source", "subject"), pa.string())
    place = {name: types[name] for name in PLACE_COLUMNS} | {"logged_at": pa.timestamp("ms", tz="UTC")}
    return pa.schema(
        list((place | message | event | moments | {"recorded_at_assumed": pa.bool_(), "data": pa.binary()}).items())
    )


def parse_messages(topic: str, messages: "Sequence[Message]") -> "pa.RecordBatch":
    """Parse messages of one topic (at least one) into columns, in their order.

    Raises:
        PermanentError: the topic does not store the broker's time.
    """
    import numpy as np
    import pyarrow as pa

    raw = [message.value() for message in messages]
    filled = list(filter(None, raw))
    whole = b"".join(filled)
    values = _decodable(raw, filled, whole)
    events = _decode(topic, values, _doubtful(values, whole))
    names = {_Nothing: None} | {model: kind.name for model, kind in event_types(topic).items()}
    schema = parsed_schema()
    columns = {
        "kafka_partition": np.array([message.partition() for message in messages], np.int32),
        "kafka_offset": np.array([message.offset() for message in messages], np.int64),
        "logged_at": _broker_milliseconds(topic, messages),
        "key": [message.key() for message in messages],
        "value": _as_column(filled, whole) if len(filled) == len(raw) else raw,
        "headers": _headers(messages),
        "event_id": [event.id for event in events],
        "event_type": [names[type(event)] for event in events],
        "source": [event.source for event in events],
        "subject": [event.subject for event in events],
        "occurred_at": [event.time for event in events],
        "recorded_at": [event.recordedtime for event in events],
        "recorded_at_assumed": [event.recordedassumed for event in events],
        "data": [value[value.find(b"{", 1) - DATA_AT : -1] for value in values],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _decodable(values: Sequence[bytes | None], filled: Sequence[bytes], whole: bytes) -> Sequence[bytes]:
    """Return the values; b"" replaces those that are missing, too large, not UTF-8, or have escapes msgspec ignores.

    `filled` are the non-empty values, and `whole` is their concatenation. Checking `whole` usually shows that there is
    nothing to replace. If `whole` is UTF-8, so is each value that starts and ends like JSON; msgspec rejects a partial
    character at either end.
    """
    has_signs = b"\\" in whole and any(sign in whole for sign in _SIGNS_OF_AN_ESCAPE)
    if len(filled) == len(values) and max(map(len, filled)) <= MAX_VALUE_BYTES and _is_utf8(whole) and not has_signs:
        return filled
    return [value if value and _is_decodable(value) else b"" for value in values]


def _is_decodable(value: bytes) -> bool:
    return len(value) <= MAX_VALUE_BYTES and _is_utf8(value) and not _escape.search(value)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _doubtful(values: Sequence[bytes], whole: bytes) -> list[int]:
    """Return the indexes of the values with an escape or a non-ASCII character, which may be invisible in an id.

    `whole` is the concatenated values; checking it usually shows that there are none.
    """
    if whole.isascii() and b"\\" not in whole:
        return []
    return [number for number, value in enumerate(values) if not value.isascii() or b"\\" in value]


def _decode(topic: str, values: Sequence[bytes], doubtful: Sequence[int]) -> list[Any]:
    """Return the decoded events, with NOTHING for those that msgspec or a rule did not accept."""
    decode, left, events = decoder(topic).decode, iter(values), list[Any]()
    while len(events) < len(values):
        try:
            events.extend(map(decode, left))  # on an error, the events decoded before it stay in the list
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            events.append(NOTHING)
    for number in _violations(topic, events, doubtful):
        events[number] = NOTHING
    return events


def _as_column(values: Sequence[bytes], whole: bytes) -> "pa.Array":
    """Return values as a column, without copying; `whole` is the concatenated values."""
    import numpy as np
    import pyarrow as pa

    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(list(map(len, values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(whole)]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def _broker_milliseconds(topic: str, messages: "Sequence[Message]") -> list[int]:
    """Return when the broker appended the messages to its log, in milliseconds since 1970."""
    stamps = [message.timestamp() for message in messages]
    if {kind for kind, _ in stamps} - {_BROKER_TIME}:
        raise PermanentError(
            f"Topic {topic} does not store the broker's time. Set message.timestamp.type=LogAppendTime on it: recorded "
            "times depend on that clock."
        )
    return [milliseconds for _, milliseconds in stamps]


def _headers(messages: "Sequence[Message]") -> list[str | None]:
    """Return each message's headers as JSON, a list of [name, base64 of the value or null], so a replay is identical.

    If a header's name is not UTF-8, the client sets an error but still returns headers, and any access to them crashes
    the process, even after another call. `map` checks for the error; the interpreter's fast call does not. The method
    is looked up once, on the first message, because looking it up on each message takes four times as long.
    """
    calls = map(type(messages[0]).headers, messages)
    found: list[Any] = []
    while len(found) < len(messages):
        try:
            found.extend(calls)
        except (UnicodeDecodeError, SystemError):
            found.append(_unreadable)
    return [_as_json(headers) if headers else None for headers in found]


def _as_json(headers: "Sequence[tuple[str, bytes | None]]") -> str:
    if headers is _unreadable:
        return UNREADABLE_HEADERS
    return json.dumps([[name, None if value is None else base64.b64encode(value).decode()] for name, value in headers])


def _violations(topic: str, events: Sequence[Any], doubtful: Sequence[int]) -> set[int]:
    """Return the indexes of the events that break a rule that msgspec did not check; NOTHING breaks none."""
    models = list(map(type, events))
    different = set(models) - {_Nothing}
    if len(different) == 1:
        return event_types(topic)[different.pop()].violations(events, doubtful)
    unfit: set[int] = set()
    is_doubtful = set(doubtful)
    for model in different:
        numbers = [number for number, each in enumerate(models) if each is model]
        own = [place for place, number in enumerate(numbers) if number in is_doubtful] if is_doubtful else []
        found = event_types(topic)[model].violations([events[number] for number in numbers], own)
        unfit.update(numbers[place] for place in found)
    return unfit
