"""`okr load`: what waits in the lake into `raw`, by binary COPY, with its watermark in the same transaction."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, sql

from ingestion.loading.waiting import Offsets, Watermarks, read_from, read_watermarks
from lakehouse.contracts import TOPICS
from lakehouse.errors import InvariantBroken, PermanentError, RetryableError
from lakehouse.lake import EVENT_COLUMNS
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    import pyarrow as pa

log = get_logger(__name__)

PACKAGE = "ingestion.loading"
LOCK_SECONDS = 120
BATCH_ROWS = 20_000

Connection = psycopg.Connection[tuple[object, ...]]


def load(settings: Settings, upto: Mapping[str, Mapping[Any, int]] | None = None) -> dict[str, int]:
    """Load what waits of each topic and return the rows copied, by topic.

    `upto` (topic -> partition -> next offset) bounds it to what a gate has judged; a topic or partition that it does
    not name is left alone. Without it, everything that waits is loaded.

    Raises:
        RetryableError: PostgreSQL or the lake is away, or another loader holds the lock; nothing was loaded in part.
        InvariantBroken: the lake holds an offset twice.
        PermanentError: the lake holds events of another Kafka cluster than `raw`.
    """
    bounds = None if upto is None else {topic: _offsets(offsets) for topic, offsets in upto.items()}
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
            rows, ends = read_from(lake_uri, topic, read_watermarks(connection, topic), bound)
            good = rows.filter(_is_good(rows))
            _copy(connection, topic, good)
            _write_watermarks(connection, topic, ends)
            return int(good.num_rows)
    except errors.UniqueViolation as error:
        raise InvariantBroken(
            f"raw.{topic} already holds an offset that waits in the lake ({error.diag.message_detail}). Nothing was "
            "loaded. Run `okr lake verify` and read docs/runbooks/lake-verify.md."
        ) from error
    except errors.LockNotAvailable as error:
        raise RetryableError(
            f"Another `okr load` has held the lock of {topic} for {LOCK_SECONDS} s. Nothing was loaded; try again."
        ) from error
    except psycopg.OperationalError as error:
        raise RetryableError(f"PostgreSQL failed while {topic} was loaded; nothing of it stays: {error}") from error
    except psycopg.Error as error:
        raise PermanentError(f"PostgreSQL refused the rows of {topic}; nothing of them stays: {error}") from error


def _lock(connection: Connection, topic: str) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_SECONDS}s")))
    connection.execute(read_sql(PACKAGE, "lock_topic"), {"topic": topic})


def _offsets(offsets: Mapping[Any, Any]) -> Offsets:
    # What went through JSON has text as keys.
    return {int(partition): int(offset) for partition, offset in offsets.items()}


def _is_good(rows: "pa.Table") -> Any:
    import pyarrow.compute as pc

    return pc.is_null(rows["rejection_reason"])


def _copy(connection: Connection, topic: str, good: "pa.Table") -> None:
    if not good.num_rows:
        return
    statement = sql.SQL("COPY raw.{} ({}) FROM STDIN WITH (FORMAT binary)").format(
        sql.Identifier(topic), sql.SQL(", ").join(map(sql.Identifier, EVENT_COLUMNS))
    )
    rows = _as_raw(good)
    encoder = _encoder(rows.schema)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())


def _as_raw(good: "pa.Table") -> "pa.Table":
    """Return the columns of raw.*; a UUID travels as its 16 bytes, which is how PostgreSQL receives one."""
    import polars as pl
    import pyarrow as pa

    digits = pl.Series(good["event_id"]).str.replace_all("-", "", literal=True).str.decode("hex")
    position = EVENT_COLUMNS.index("event_id")
    ids = digits.to_arrow().cast(pa.binary()).cast(pa.binary(16))
    return good.select(EVENT_COLUMNS).set_column(position, pa.field("event_id", pa.binary(16)), ids)


def _encoder(schema: "pa.Schema") -> Any:
    from pgpq import ArrowToPostgresBinaryEncoder
    from pgpq.encoders import StringEncoderBuilder
    from pgpq.schema import Jsonb

    builders = {field.name: ArrowToPostgresBinaryEncoder.infer_encoder(field) for field in schema}
    builders["data"] = StringEncoderBuilder.new_with_output(schema.field("data"), Jsonb())
    return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, builders)


def _write_watermarks(connection: Connection, topic: str, ends: Watermarks) -> None:
    rows = [
        {"topic": topic, "partition": partition, "next_offset": offset, "cluster_id": ends.cluster_id}
        for partition, offset in ends.offsets.items()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(read_sql(PACKAGE, "write_watermark"), rows)
