"""Messages to rows of a landing table: good events typed, rejected messages whole, with their reason."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ingestion.events import DecodedEvent, decode, extensions_of
from ingestion.landing.bulk import decode_good
from lakehouse.errors import ContractViolation, PermanentError
from lakehouse.lake import EVENT_COLUMNS, PLACE_COLUMNS, landing_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BROKER_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME


def decode_batch(topic: str, messages: "Sequence[Message]") -> "pa.Table":
    """Return one row per message, in the landing schema, in no order.

    Raises:
        PermanentError: the topic does not carry the broker's time.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values, keys = [message.value() for message in messages], [message.key() for message in messages]
    good, numbers = decode_good(topic, values, keys, _places(topic, messages))
    others = np.delete(np.arange(len(messages)), numbers)
    rows = pa.concat_tables(
        [good, _decode_each(topic, [messages[number] for number in others.tolist()])], promote_options="default"
    )
    # A rejected message has no time of its own; it lies under the day it came.
    day = pc.coalesce(rows["occurred_at"], rows["logged_at"]).cast(pa.date32())
    schema = landing_schema()
    return rows.append_column("event_date", day).select(schema.names).cast(schema)


def _places(topic: str, messages: "Sequence[Message]") -> "pa.Table":
    """Return where each message stands in the log, and when the broker put it there."""
    import numpy as np
    import pyarrow as pa

    stamps = [message.timestamp() for message in messages]
    if any(kind != _BROKER_TIME for kind, _ in stamps):
        raise _without_broker_time(topic)
    logged_at = pa.array([milliseconds * 1000 for _, milliseconds in stamps], pa.int64())
    columns = [
        np.array([message.partition() for message in messages], np.int32),
        np.array([message.offset() for message in messages], np.int64),
        logged_at.cast(landing_schema().field("logged_at").type),
    ]
    return pa.table(columns, names=PLACE_COLUMNS)


def _decode_each(topic: str, messages: "Sequence[Message]") -> "pa.Table":
    """Judge messages one by one; what is rejected keeps its bytes."""
    import pyarrow as pa

    rows = [_row(topic, message) for message in messages]
    columns = zip(*rows, strict=True) if rows else ([] for _ in _ROW)
    schema = landing_schema()
    return pa.table(
        {name: pa.array(column, schema.field(name).type) for name, column in zip(_ROW, columns, strict=True)}
    )


_ROW = (
    *EVENT_COLUMNS,
    "rejection_reason",
    "rejected_value",
    "rejected_key",
    "rejected_headers",
)


def _row(topic: str, message: "Message") -> tuple[object, ...]:
    value, key, logged_at = message.value(), message.key(), broker_time(topic, message)
    place = (message.partition(), message.offset(), logged_at)
    try:
        event = decode(topic, value, key, logged_at)
    except ContractViolation as violation:
        nothing = [None] * (len(EVENT_COLUMNS) - len(place))
        return (*place, *nothing, violation.reason, value, key, _headers(message.headers()))
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
        raise _without_broker_time(topic)
    return EPOCH + timedelta(milliseconds=milliseconds)


def _without_broker_time(topic: str) -> PermanentError:
    return PermanentError(
        f"Topic {topic} does not keep the broker's time. Set message.timestamp.type=LogAppendTime on it: what was "
        "recorded when is judged by that clock."
    )


def _headers(headers: "Sequence[tuple[str, bytes | None]] | None") -> str | None:
    """Return headers as JSON, a list of [name, base64 of the value], so that a replay can send the same bytes."""
    if not headers:
        return None
    return json.dumps([[name, base64.b64encode(value or b"").decode()] for name, value in headers])
