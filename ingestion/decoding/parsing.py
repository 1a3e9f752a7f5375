"""Parse messages into columns right after they are read. msgspec decodes each message with its contract's model."""

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
from lakehouse.lake import POSITION_COLUMNS, landing_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

# The column `data` starts this many bytes before the first inner brace. `batch_validation.DATA` accepts two spellings
# of the member's name before that brace, both of this length. In a message without an inner brace, the column is too
# short or starts elsewhere, so that pattern does not match it.
DATA_PREFIX_LENGTH = len(',"data":')
_BROKER_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME
_ESCAPE_PREFIXES = (b"\\u0000", b"\\ud", b"\\uD")  # prefixes of everything that `ESCAPE` matches, for a fast search
_escape = re.compile(ESCAPE.encode())
_unreadable = [("", None)]
UNREADABLE_HEADERS = json.dumps("the client cannot read them: a name is not UTF-8")


class _Undecoded:
    """A placeholder for an event that msgspec did not accept. All its attributes are None, including the payload's."""

    id = source = subject = time = recordedtime = recordedassumed = requestid = None

    @property
    def data(self) -> "_Undecoded":
        return self

    def __getattr__(self, name: str) -> None:
        return None


UNDECODED: Final = _Undecoded()


@cache
def parsed_schema() -> "pa.Schema":
    """Return the columns of parsed messages. Grain: one message.

    The columns of the raw message come first. The columns of the event as msgspec decoded it follow, with times as
    text. `data` is a slice of the message. It starts DATA_PREFIX_LENGTH bytes before the first inner brace and ends
    before the last byte. If msgspec did not accept the message, the event's columns are null and `data` is meaningless.
    If it did, `batch_validation.accept_by_column` still has to check the remaining rules.
    """
    import pyarrow as pa

    types = {field.name: field.type for field in landing_schema()}
    moments = dict.fromkeys(("occurred_at", "recorded_at"), pa.string())
    message = {"key": pa.binary(), "value": pa.large_binary(), "headers": pa.string()}
    event = dict.fromkeys(("event_id", "event_type", "source", "subject"), pa.string())
    last = {"recorded_at_assumed": pa.bool_(), "request_id": pa.string(), "data": pa.binary()}
    position = {name: types[name] for name in POSITION_COLUMNS} | {"logged_at": pa.timestamp("ms", tz="UTC")}
    return pa.schema(list((position | message | event | moments | last).items()))


def parse_messages(topic: str, messages: "Sequence[Message]") -> "pa.RecordBatch":
    """Parse one or more messages of a topic into columns and preserve their order.

    Raises:
        PermanentError: the topic is not configured to store the broker's time.
    """
    import numpy as np
    import pyarrow as pa

    raw = [message.value() for message in messages]
    non_empty = list(filter(None, raw))
    joined = b"".join(non_empty)
    values = _decodable(raw, non_empty, joined)
    events = _decode(topic, values, _doubtful(values, joined))
    names = {_Undecoded: None} | {model: kind.name for model, kind in event_types(topic).items()}
    schema = parsed_schema()
    columns = {
        "kafka_partition": np.array([message.partition() for message in messages], np.int32),
        "kafka_offset": np.array([message.offset() for message in messages], np.int64),
        "logged_at": _broker_milliseconds(topic, messages),
        "key": [message.key() for message in messages],
        "value": _as_column(non_empty, joined) if len(non_empty) == len(raw) else raw,
        "headers": _headers(messages),
        "event_id": [event.id for event in events],
        "event_type": [names[type(event)] for event in events],
        "source": [event.source for event in events],
        "subject": [event.subject for event in events],
        "occurred_at": [event.time for event in events],
        "recorded_at": [event.recordedtime for event in events],
        "recorded_at_assumed": [event.recordedassumed for event in events],
        "request_id": [event.requestid for event in events],
        "data": [value[value.find(b"{", 1) - DATA_PREFIX_LENGTH : -1] for value in values],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _decodable(values: Sequence[bytes | None], non_empty: Sequence[bytes], joined: bytes) -> Sequence[bytes]:
    """Return the values, with b"" for each that is missing, too large, not UTF-8 or has an escape that msgspec ignores.

    `joined` is the concatenation of the values in `non_empty`. A single check of it usually shows that no value needs
    to be replaced. If it is UTF-8, each value is UTF-8 too, unless the value starts or ends with a partial character,
    which msgspec rejects.
    """
    may_have_escapes = b"\\" in joined and any(prefix in joined for prefix in _ESCAPE_PREFIXES)
    has_fitting_values = len(non_empty) == len(values) and max(map(len, non_empty)) <= MAX_VALUE_BYTES
    if has_fitting_values and _is_utf8(joined) and not may_have_escapes:
        return non_empty
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


def _doubtful(values: Sequence[bytes], joined: bytes) -> list[int]:
    """Return the indexes of the values with an escape or a non-ASCII character, which may be invisible in an id.

    `joined` is the concatenation of the values. A single check of it usually shows that there are none.
    """
    if joined.isascii() and b"\\" not in joined:
        return []
    return [index for index, value in enumerate(values) if not value.isascii() or b"\\" in value]


def _decode(topic: str, values: Sequence[bytes], doubtful: Sequence[int]) -> list[Any]:
    """Return the decoded events, with UNDECODED for those that msgspec or a rule did not accept."""
    decode, remaining, events = decoder(topic).decode, iter(values), list[Any]()
    while len(events) < len(values):
        try:
            events.extend(map(decode, remaining))  # if this raises, the events decoded so far stay in the list
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            events.append(UNDECODED)
    for index in _violations(topic, events, doubtful):
        events[index] = UNDECODED
    return events


def _as_column(values: Sequence[bytes], joined: bytes) -> "pa.Array":
    """Return values as a column without copying them. `joined` is their concatenation."""
    import numpy as np
    import pyarrow as pa

    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(list(map(len, values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def _broker_milliseconds(topic: str, messages: "Sequence[Message]") -> list[int]:
    """Return the times at which the broker appended the messages to its log, in milliseconds since 1970."""
    timestamps = [message.timestamp() for message in messages]
    if {kind for kind, _ in timestamps} - {_BROKER_TIME}:
        raise PermanentError(
            f"Topic {topic} does not store the broker's time. Set message.timestamp.type=LogAppendTime on it, because "
            "recording times must come from the broker's clock."
        )
    return [milliseconds for _, milliseconds in timestamps]


def _headers(messages: "Sequence[Message]") -> list[str | None]:
    """Return each message's headers as JSON: a list of [name, base64 of the value or null], for exact replays.

    If a header's name is not UTF-8, the client sets an exception but still returns a headers object. Any access to this
    object crashes the process, even later. `map` checks for the exception; a normal call in the interpreter does not.
    The method is looked up only once, on the first message's type, because looking it up on each message takes four
    times as long.
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
    """Return the indexes of the events that break a rule that msgspec does not check. UNDECODED breaks no rule."""
    models = list(map(type, events))
    distinct_models = set(models) - {_Undecoded}
    if len(distinct_models) == 1:
        return event_types(topic)[distinct_models.pop()].violations(events, doubtful)
    violating: set[int] = set()
    is_doubtful = set(doubtful)
    for model in distinct_models:
        indexes = [index for index, each in enumerate(models) if each is model]
        doubtful_of_model = [at for at, index in enumerate(indexes) if index in is_doubtful] if is_doubtful else []
        found = event_types(topic)[model].violations([events[index] for index in indexes], doubtful_of_model)
        violating.update(indexes[at] for at in found)
    return violating
