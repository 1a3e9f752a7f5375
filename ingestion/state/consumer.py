"""`okr consume state`: the loop that keeps app.users, app.okrs and Redis at the newest state. Read it top to bottom."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg

from ingestion.batch import Limits
from ingestion.events import decode
from ingestion.landing.decode import broker_time
from ingestion.reader import PartitionReader
from ingestion.state.realtime import RealtimeFigures, open_redis
from ingestion.state.store import OvertakenError, PlacedEvent, StateStore
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

if TYPE_CHECKING:
    from confluent_kafka import Message

log = get_logger(__name__)

GROUP = "okr-state"
TOPIC = "okr_user_events"


def follow(settings: Settings, stop: threading.Event, *, limits: Limits | None = None, drain: bool = False) -> int:
    """Apply events until `stop` is set, or, with `drain`, until nothing is left; return how many were applied.

    Raises:
        RetryableError: Kafka or PostgreSQL failed; start again, it goes on where the database stands.
        PermanentError: an offset is out of the broker's range.
    """
    limits = limits or Limits(rows=10_000)
    reader = PartitionReader(settings.require("kafka_bootstrap"), GROUP, [TOPIC])
    figures = RealtimeFigures(open_redis(settings.require("redis_url")), GROUP)
    applied = 0
    try:
        with connect(settings.require("dsn_loader"), application="okr-state") as connection:
            store = StateStore(connection, reader.cluster_id, GROUP)
            reader.start(lambda assigned: {place: store.next_offset(*place) for place in assigned})
            while not stop.is_set():
                batch = reader.poll(limits)
                for topic, messages in batch.messages.items():
                    events = good_events(topic, messages)
                    spans = batch.spans(topic)
                    try:
                        store.apply(topic, events, spans)
                    except OvertakenError as overtaken:
                        log.warning("overtaken, the batch is thrown away", reason=str(overtaken))
                        reader.rewind()
                        break
                    reader.landed(topic, spans)
                    applied += len(events)
                    figures.update((placed.event for placed in events), sum(lag or 0 for lag in reader.lag().values()))
                if drain and batch.rows == 0 and reader.is_at_end():
                    break
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed, nothing of the batch was stored: {error}") from error
    finally:
        reader.close()
    return applied


def good_events(topic: str, messages: "Sequence[Message]") -> list[PlacedEvent]:
    """Return the events that keep their contract, with their places. The lake keeps the others, with their reasons."""
    events = []
    for message in messages:
        try:
            event = decode(topic, message.value(), message.key(), broker_time(topic, message))
        except ContractViolation:
            continue
        events.append(PlacedEvent(message.partition(), message.offset(), event))
    return events
