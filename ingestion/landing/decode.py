"""Messages to rows of a landing table: good events typed, rejected messages whole, with their reason."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ingestion.events import DecodedEvent, decode, extensions_of
from ingestion.storable import find_suspects
from lakehouse.errors import ContractViolation, PermanentError
from lakehouse.lake import EVENT_COLUMNS, landing_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BROKER_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME


def decode_batch(topic: str, messages: "Sequence[Message]") -> "pa.Table":
    """Return one row per message, in their order, in the landing schema.

    Raises:
        PermanentError: the topic does not carry the broker's time.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    suspects = find_suspects([message.value() for message in messages])
    rows = [_row(topic, message, suspect=suspect) for message, suspect in zip(messages, suspects, strict=True)]
    columns: dict[str, Any] = dict(zip(_ROW, zip(*rows, strict=True), strict=True)) if rows else {}
    schema = landing_schema()
    arrays = {
        field.name: pa.array(columns.get(field.name, ()), field.type) for field in schema if field.name != "event_date"
    }
    # A rejected message has no time of its own; it lies under the day it came.
    arrays["event_date"] = pc.cast(pc.coalesce(arrays["occurred_at"], arrays["logged_at"]), pa.date32())
    return pa.table([arrays[field.name] for field in schema], schema=schema)


_ROW = (
    *EVENT_COLUMNS,
    "rejection_reason",
    "rejected_value",
    "rejected_key",
    "rejected_headers",
)


def _row(topic: str, message: "Message", *, suspect: bool) -> tuple[object, ...]:
    value, key, logged_at = message.value(), message.key(), broker_time(topic, message)
    place = (message.partition(), message.offset(), logged_at)
    try:
        event = decode(topic, value, key, logged_at, suspect=suspect)
    except ContractViolation as violation:
        return (
            *place,
            *[None] * (len(EVENT_COLUMNS) - len(place)),
            violation.reason,
            value,
            key,
            _headers(message.headers()),
        )
    else:
        return (*place, *_event_columns(event, logged_at), extensions_of(value or b""), None, None, None, None)


def _event_columns(event: DecodedEvent, logged_at: datetime) -> tuple[object, ...]:
    frame = event.envelope
    return (
        str(frame.id),
        frame.type,
        frame.source,
        frame.subject,
        frame.time,
        min(frame.recordedtime or logged_at, logged_at),
        frame.recordedassumed,
        event.data,
    )


def broker_time(topic: str, message: "Message") -> datetime:
    """Return when the broker appended a message to its log.

    Raises:
        PermanentError: the topic keeps the producer's time instead, which anybody can set.
    """
    kind, milliseconds = message.timestamp()
    if kind != _BROKER_TIME:
        raise PermanentError(
            f"Topic {topic} does not keep the broker's time. Set message.timestamp.type=LogAppendTime on it: "
            "what was recorded when is judged by that clock."
        )
    return EPOCH + timedelta(milliseconds=milliseconds)


def _headers(headers: "Sequence[tuple[str, bytes | None]] | None") -> str | None:
    """Return headers as JSON, a list of [name, base64 of the value], so that a replay can send the same bytes."""
    if not headers:
        return None
    return json.dumps([[name, base64.b64encode(value or b"").decode()] for name, value in headers])
