"""Build events for the state store: valid rows with a log position."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from ingestion.batch import Span
from ingestion.contract_validation import decode, encode
from ingestion.state.store import StateStore
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined

TOPIC = "okr_user_events"
STARTED = datetime(2026, 4, 1, tzinfo=UTC)
LOGGED = STARTED + timedelta(days=1)
Connection = psycopg.Connection[tuple[object, ...]]
Row = dict[str, Any]


def placed(minute: int, data: msgspec.Struct, offset: int, partition: int = 0, event_id: UUID | None = None) -> Row:
    """Return an event that occurred `minute` minutes after STARTED; its log time follows its offset."""
    encoded = encode(data, at=STARTED + timedelta(minutes=minute), source="test", event_id=event_id)
    event = decode(encoded.topic, encoded.value)
    return {
        "event_type": event.envelope.type,
        "subject": event.envelope.subject,
        "event_id": str(event.envelope.id),
        "occurred_at": event.envelope.time,
        "logged_at": LOGGED + timedelta(seconds=offset),
        "kafka_partition": partition,
        "kafka_offset": offset,
        "data": event.data,
    }


def key_result(target: float = 100, name: str = "kr", objective: str = "o", owner: str = "u") -> KeyResultDefined:
    return KeyResultDefined(
        key_result_id=name, objective_id=objective, title=f"to {target:.0f}", unit="percent", baseline=0,
        target=target, direction="increase", owner_user_id=owner,
    )  # fmt: skip


def check_in(
    number: int,
    value: float,
    *,
    final: bool = False,
    of: str = "kr",
    user: str | None = None,
    organisation: str | None = None,
) -> CheckInRecorded:
    return CheckInRecorded(
        check_in_id=f"c{number}", key_result_id=of, value=value, is_final=final, user_id=user,
        organisation_id=organisation,
    )  # fmt: skip


def apply(loader: Connection, events: list[Row], position: int = 0) -> int:
    """Apply a batch as if it started at offset `position` of one partition; return the next offset."""
    start = position or None
    StateStore(loader, "cluster", "group").apply(TOPIC, events, {0: Span(start, position + len(events))})
    return position + len(events)
