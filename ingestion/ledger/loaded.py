"""Read the loaded rows of all topics from PostgreSQL, in one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingestion.ledger.offsets import Gap
from lakehouse.errors import RetryableError
from lakehouse.warehouse import connect, read_sql


@dataclass(frozen=True)
class LoadedPartition:
    """Number of rows of one partition in raw, the sum of their offsets, the last offset, and the load's watermark."""

    watermark: int = 0
    rows: int = 0
    offset_sum: int = 0
    last_offset: int = -1


@dataclass(frozen=True)
class LoadedTopic:
    """Counts of one table of raw, by partition, and its number of distinct event ids.

    `excused` contains the gaps that earlier runs excused, by log and partition, in ascending order.
    """

    partitions: Mapping[int, LoadedPartition]
    distinct_events: int
    excused: Mapping[tuple[str, int], Sequence[Gap]]


def read_loaded(dsn: str, topics: Sequence[str]) -> dict[str, LoadedTopic]:
    """Read every topic's raw table and the gaps that earlier runs excused.

    Raises:
        RetryableError: PostgreSQL cannot be read.
    """
    try:
        with connect(dsn, application="okr-ledger") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return {topic: _read(connection, topic) for topic in topics}
    except psycopg.Error as error:
        raise RetryableError(
            f"PostgreSQL's schemas raw and ops cannot be read: {error} Is the stack up (`make status`)?"
        ) from error


def _read(connection: "psycopg.Connection[tuple[object, ...]]", topic: str) -> LoadedTopic:
    parts = {"table": sql.Identifier("raw", topic), "topic": sql.Literal(topic)}
    partitions = {}
    for row in connection.execute(_query("raw_partitions").format(**parts)):
        partition, *numbers = (int(str(value)) for value in row)
        partitions[partition] = LoadedPartition(*numbers)
    distinct = connection.execute(_query("distinct_events").format(**parts)).fetchone()
    excused: dict[tuple[str, int], list[Gap]] = {}
    for log_id, *bounds in connection.execute(_query("excused_gaps").format(**parts)):
        partition, start, end = (int(str(value)) for value in bounds)
        excused.setdefault((str(log_id), partition), []).append(Gap(start, end))
    return LoadedTopic(partitions, int(str(distinct[0])) if distinct else 0, excused)


def _query(name: str) -> sql.SQL:
    return sql.SQL(read_sql("ingestion.ledger", name))
