"""`okr consume state`: the loop that applies events to the state tables (schema `app`) and to Redis."""

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg

from ingestion.batch import Limits
from ingestion.consumer_groups import STATE_GROUP, STATE_TOPIC, state_group
from ingestion.decoding import decode_batch
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.personal_field_encryption import FieldEncryption
from ingestion.state.redis_figures import RealtimeFigures, open_redis
from ingestion.state.store import OffsetsMovedError, StateStore
from lakehouse.connection_limits import CONSUMER
from lakehouse.errors import RetryableError
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import EVENT_COLUMNS
from lakehouse.logs import get_logger
from lakehouse.readiness import report_alive, report_ready
from lakehouse.redis_connection import redis_address
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

if TYPE_CHECKING:
    import pyarrow as pa

log = get_logger(__name__)


def consume_state(
    settings: Settings, stop: threading.Event, *, limits: Limits | None = None, drain: bool = False
) -> int:
    """Apply events until `stop` is set or, with `drain`, until none is left; return the number of applied events.

    Raises:
        RetryableError: Kafka or PostgreSQL failed; a restarted consumer continues from the stored offsets.
        PermanentError: the broker no longer has, or does not yet have, a stored offset; or the key file is wrong.
    """
    limits = limits or Limits(rows=10_000)
    settings.require_all("dsn_loader", "redis_state_url")
    keys = open_data_keys(settings, writes=True)
    if keys is not None:
        keys.check()
    encryption = None if keys is None else FieldEncryption(keys)
    reader = KafkaConsumer(KafkaConnection.of(settings), state_group(settings), [STATE_TOPIC])
    applied = 0
    try:
        with (
            connect(settings.require("dsn_loader"), application="okr-state", limits=CONSUMER) as connection,
            closing(open_redis(redis_address(settings, "redis_state_url"))) as redis,
        ):
            store = StateStore(connection, reader.log_ids[STATE_TOPIC], STATE_GROUP)
            store.project_missing()
            figures = RealtimeFigures(redis, STATE_GROUP, store)
            reader.start(lambda assigned: {partition: store.next_offset(*partition) for partition in assigned})
            report_ready()
            while not stop.is_set():
                report_alive()
                batch = reader.poll(limits)
                for topic, parsed in batch.parsed.items():
                    rows = valid_events(topic, parsed)
                    if encryption is not None:
                        encryption.events(rows)
                    spans = batch.spans(topic)
                    try:
                        stored = store.apply(topic, rows, spans)
                    except OffsetsMovedError as error:
                        log.warning("another consumer committed first; the batch is discarded", reason=str(error))
                        reader.rewind()
                        break
                    reader.report_stored(topic, spans)
                    applied += len(rows)
                    figures.note(
                        rows,
                        may_change_progress=stored.may_change_progress,
                        may_change_activity=stored.may_change_activity,
                    )
                figures.write(reader.lag())
                if drain and batch.rows == 0 and reader.is_at_end():
                    break
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed; the consumer continues from the stored offsets: {error}") from error
    finally:
        reader.close()
    return applied


def valid_events(topic: str, parsed: "Sequence[pa.RecordBatch]") -> list[dict[str, Any]]:
    """Return the valid events with their log positions. Rejected events are only in the lake, with the reason."""
    import polars as pl

    landed = decode_batch(topic, parsed)
    valid = landed.filter(landed["rejection_reason"].is_null()).select(EVENT_COLUMNS)
    events: list[dict[str, Any]] = pl.DataFrame(valid).to_dicts()  # takes a third of the time of pyarrow's to_pylist
    return events
