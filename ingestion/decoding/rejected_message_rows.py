"""Validate messages one by one. Each rejected message becomes a row with the reason and its original bytes."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ingestion.contract_validation import decode, extensions_of
from lakehouse.errors import ContractViolation
from lakehouse.lake import EVENT_COLUMNS, POSITION_COLUMNS, landing_schema

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROW_COLUMNS = (*EVENT_COLUMNS, "rejection_reason", "rejected_value", "rejected_key", "rejected_headers")


def accept_or_reject(topic: str, messages: "pa.Table") -> "pa.Table":
    """Return one row per message: an event, or a rejected message with the reason and its original bytes."""
    import pyarrow as pa

    # Computed in Python, because Arrow needs 6 us to convert one time with a time zone.
    logged_at = [EPOCH + timedelta(milliseconds=each) for each in messages["logged_at"].cast("int64").to_pylist()]
    positions = zip(*(messages[name].to_pylist() for name in POSITION_COLUMNS[:-1]), logged_at, strict=True)
    raw = (messages[name].to_pylist() for name in ("value", "key", "headers"))
    rows = [_row(topic, *message) for message in zip(positions, *raw, strict=True)]
    columns = zip(*rows, strict=True) if rows else ([] for _ in _ROW_COLUMNS)
    schema = landing_schema()
    return pa.table(
        {name: pa.array(column, schema.field(name).type) for name, column in zip(_ROW_COLUMNS, columns, strict=True)}
    )


def _row(
    topic: str, position: tuple[int, int, datetime], value: bytes | None, key: bytes | None, headers: str | None
) -> tuple[object, ...]:
    logged_at = position[-1]
    try:
        event = decode(topic, value, key, logged_at)
    except ContractViolation as violation:
        nulls = [None] * (len(EVENT_COLUMNS) - len(position))
        return (*position, *nulls, violation.reason, value, key, headers)
    envelope = event.envelope
    return (
        *position,
        str(envelope.id),
        envelope.type,
        envelope.source,
        envelope.subject,
        envelope.time,
        min(envelope.recordedtime or logged_at, logged_at),
        envelope.recordedassumed,
        event.data,
        extensions_of(value or b""),
        *(None, None, None, None),
    )
