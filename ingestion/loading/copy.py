"""`okr load`: copy waiting rows from the lake into `raw` and write the watermark in the same transaction."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg
from psycopg import errors, sql

from ingestion.loading.copy_encoding import Encoder, read_ahead
from ingestion.loading.pending import Offsets, Pending, Watermarks, find_pending, read_watermarks
from lakehouse.contracts import TOPICS
from lakehouse.errors import InvariantBroken, PermanentError, RetryableError
from lakehouse.lake import EVENT_COLUMNS
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

log = get_logger(__name__)

PACKAGE = "ingestion.loading"
LOCK_SECONDS = 120
ANALYZE_MIN_ROWS = 10_000  # after a load of this many rows, PostgreSQL's statistics of the table are outdated

Connection = psycopg.Connection[tuple[object, ...]]


def load(settings: Settings, end_offsets: Mapping[str, Mapping[Any, int]] | None = None) -> dict[str, int]:
    """Load the waiting rows of each topic and return the number of rows copied, by topic.

    `end_offsets` (topic -> partition -> next offset) limits the load to the rows that a gate has checked; topics and
    partitions that it does not name are not loaded. Without it, all waiting rows are loaded.

    Raises:
        RetryableError: PostgreSQL or the lake is unavailable, or another loader holds the lock; no topic was partially
            loaded.
        InvariantBroken: an offset occurs twice in the lake or in `raw`.
        PermanentError: the events in the lake and in `raw` come from different Kafka logs.
    """
    bounds = None if end_offsets is None else {topic: _offsets(offsets) for topic, offsets in end_offsets.items()}
    loaded = {}
    with connect(settings.require("dsn_loader"), application="okr-load") as connection:
        for topic in TOPICS:
            loaded[topic] = _load_topic(connection, settings.require("lake_uri"), topic, bounds)
            log.info("loaded", topic=topic, rows=loaded[topic])
    return loaded


def _load_topic(connection: Connection, lake_uri: str, topic: str, bounds: Mapping[str, Offsets] | None) -> int:
    bound = None if bounds is None else bounds.get(topic, {})
    try:
        with connection.transaction():
            _lock(connection, topic)
            pending = find_pending(lake_uri, topic, read_watermarks(connection, topic), bound)
            copied = _copy(connection, topic, pending)
            _write_watermarks(connection, topic, pending.ends())
            if copied >= ANALYZE_MIN_ROWS:  # dbt runs right after this, before autovacuum would analyze the table
                connection.execute(sql.SQL("ANALYZE raw.{}").format(sql.Identifier(topic)))
            return copied
    except errors.UniqueViolation as error:
        raise InvariantBroken(
            f"raw.{topic} already has an offset that is still waiting in the lake ({error.diag.message_detail}). "
            "Nothing was loaded. Run `okr lake verify` and read docs/runbooks/lake-verify.md."
        ) from error
    except errors.LockNotAvailable as error:
        raise RetryableError(
            f"Another `okr load` has held the lock of {topic} for {LOCK_SECONDS} s. Nothing was loaded; try again."
        ) from error
    except psycopg.OperationalError as error:
        raise RetryableError(
            f"PostgreSQL failed while {topic} was being loaded, and the load was rolled back. Try again: {error}"
        ) from error
    except psycopg.Error as error:
        raise PermanentError(
            f"PostgreSQL rejected the rows of {topic}, and the load was rolled back. Fix the cause and load again: "
            f"{error}"
        ) from error


def _lock(connection: Connection, topic: str) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_SECONDS}s")))
    connection.execute(read_sql(PACKAGE, "lock_topic"), {"topic": topic})


def _offsets(offsets: Mapping[Any, Any]) -> Offsets:
    # After a round trip through JSON, the keys are strings.
    return {int(partition): int(offset) for partition, offset in offsets.items()}


def _copy(connection: Connection, topic: str, pending: Pending) -> int:
    """Copy the valid rows and return their number. A thread reads and encodes the next rows while PostgreSQL writes."""
    if not pending.files:
        return 0
    statement = sql.SQL("COPY raw.{} ({}) FROM STDIN WITH (FORMAT binary)").format(
        sql.Identifier(topic), sql.SQL(", ").join(map(sql.Identifier, EVENT_COLUMNS))
    )
    encoder, copied = Encoder(), 0
    with (
        closing(read_ahead(_encoded(encoder, pending))) as batches,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.write(encoder.header())
        for rows, encoded in batches:
            copy.write(encoded)
            copied += rows
        copy.write(encoder.end())
    return copied


def _encoded(encoder: Encoder, pending: Pending) -> Iterator[tuple[int, bytes]]:
    for batch in pending.batches((*EVENT_COLUMNS, "rejection_reason")):
        valid = batch.filter(batch["rejection_reason"].is_null())
        if valid.num_rows:
            yield valid.num_rows, encoder.rows(valid)


def _write_watermarks(connection: Connection, topic: str, ends: Watermarks) -> None:
    rows = [
        {"topic": topic, "partition": partition, "next_offset": offset, "log_id": ends.log_id}
        for partition, offset in ends.offsets.items()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(read_sql(PACKAGE, "write_watermark"), rows)
