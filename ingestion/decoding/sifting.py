"""Messages to columns right after they were read: C decodes each by the model of its contract."""

import base64
import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from ingestion.decoding.kinds import decoder, kinds
from ingestion.events import MAX_VALUE_BYTES
from lakehouse.errors import PermanentError
from lakehouse.lake import PLACE_COLUMNS, landing_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

# How far before its brace `data` is cut: the length of both ways to write its name. Where there is no such brace, the
# cut is short or begins elsewhere, and `rows.DATA` does not match it.
DATA_AT = len(',"data":')
_BROKER_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME


@cache
def sifted_schema() -> "pa.Schema":
    """Columns of what was sifted. Grain: one message.

    First the message as it came, then the event as C took it, its moments still text, `data` the bytes of the message
    from DATA_AT before the first brace within to the last but one. All of the event is null where C found a fault.
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


def sift(topic: str, messages: "Sequence[Message]") -> "pa.RecordBatch":
    """Take messages of one topic apart; they come out in another order.

    Raises:
        PermanentError: the topic does not carry the broker's time.
    """
    import pyarrow as pa

    events, taken, others = _decode(topic, messages)
    names = {model: kind.name for model, kind in kinds(topic).items()}
    nothing = [None] * len(others)
    messages = taken + others
    values: list[Any] = [message.value() for message in messages]
    columns = (
        [message.partition() for message in messages],
        [message.offset() for message in messages],
        _broker_milliseconds(topic, messages),
        [message.key() for message in messages],
        values,
        [_as_json(headers) if (headers := message.headers()) else None for message in messages],
        [event.id for event in events] + nothing,
        [names[type(event)] for event in events] + nothing,
        [event.source for event in events] + nothing,
        [event.subject for event in events] + nothing,
        [event.time for event in events] + nothing,
        [event.recordedtime for event in events] + nothing,
        [event.recordedassumed for event in events] + nothing,
        [value[value.find(b"{", 1) - DATA_AT : -1] for value in values[: len(taken)]] + nothing,
    )
    schema = sifted_schema()
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _decode(topic: str, messages: "Sequence[Message]") -> "tuple[list[Any], list[Message], list[Message]]":
    """Return what C makes of the messages, those messages, and the others, with which it found something wrong."""
    decode, events, taken, others = decoder(topic).decode, [], [], []
    for message in messages:
        value = message.value()
        try:
            if value is None or len(value) > MAX_VALUE_BYTES or not (value.isascii() or value.decode()):
                others.append(message)
                continue
            events.append(decode(value))
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            others.append(message)
        else:
            taken.append(message)
    if unfit := _unfit(topic, events):
        others += [message for number, message in enumerate(taken) if number in unfit]
        taken = [message for number, message in enumerate(taken) if number not in unfit]
        events = [event for number, event in enumerate(events) if number not in unfit]
    return events, taken, others


def _broker_milliseconds(topic: str, messages: "Sequence[Message]") -> list[int]:
    """Return when the broker appended the messages to its log, in milliseconds since 1970."""
    stamps = [message.timestamp() for message in messages]
    if {kind for kind, _ in stamps} - {_BROKER_TIME}:
        raise PermanentError(
            f"Topic {topic} does not keep the broker's time. Set message.timestamp.type=LogAppendTime on it: what was "
            "recorded when is judged by that clock."
        )
    return [milliseconds for _, milliseconds in stamps]


def _as_json(headers: "Sequence[tuple[str, bytes | None]]") -> str:
    """Return headers as JSON, a list of [name, base64 of the value], so that a replay can send the same bytes."""
    return json.dumps([[name, base64.b64encode(value or b"").decode()] for name, value in headers])


def _unfit(topic: str, events: Sequence[Any]) -> set[int]:
    """Return the numbers of the events whose payload breaks a rule that C was not told."""
    models = [type(event) for event in events]
    different = set(models)
    if len(different) == 1:
        return kinds(topic)[models[0]].unfit(events)
    unfit: set[int] = set()
    for model in different:
        numbers = [number for number, each in enumerate(models) if each is model]
        found = kinds(topic)[model].unfit([events[number] for number in numbers])
        unfit.update(numbers[place] for place in found)
    return unfit
