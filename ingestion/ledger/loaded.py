"""Read the loaded rows of all topics from PostgreSQL, in one snapshot."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingestion.ledger.offsets import Gap
from ingestion.ledger.pruned import Pruned
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

    `excused` contains the gaps that earlier runs excused, by log and partition, in ascending order. `pruned_in_lake`
    has the end of each partition's pruned offsets as recorded in the lake, and `pruned` the end that applies. The
    counts cover only the offsets from that end on.
    """

    partitions: Mapping[int, LoadedPartition]
    distinct_events: int
    excused: Mapping[tuple[str, int], Sequence[Gap]]
    pruned_in_lake: Mapping[int, int]
    pruned: Mapping[int, Pruned]


# Return the end of the pruned offsets that the lake has recorded, for a topic and partitions of it.
PrunedEnds = Callable[[str, Collection[int]], Mapping[int, int]]
LogId = Callable[[str], str | None]  # of a topic's table in the lake


def read_loaded(dsn: str, topics: Sequence[str], log_id_of: LogId, pruned_ends: PrunedEnds) -> dict[str, LoadedTopic]:
    """Read every topic's raw table and the gaps that earlier runs excused.

    Raises:
        RetryableError: PostgreSQL cannot be read.
    """
    try:
        with connect(dsn, application="okr-ledger") as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return {topic: _read(connection, topic, log_id_of(topic), pruned_ends) for topic in topics}
    except psycopg.Error as error:
        raise RetryableError(
            f"PostgreSQL's schemas raw and ops cannot be read: {error} Is the stack up (`make status`)?"
        ) from error


def _read(
    connection: "psycopg.Connection[tuple[object, ...]]", topic: str, log_id: str | None, pruned_ends: PrunedEnds
) -> LoadedTopic:
    parts: dict[str, sql.Composable] = {"table": sql.Identifier("raw", topic), "topic": sql.Literal(topic)}
    recorded = connection.execute(_query("pruned_ranges").format(**parts)).fetchall()
    known = {int(str(row[0])) for row in connection.execute(_query("watermark_partitions").format(**parts))}
    pruned_in_lake = pruned_ends(topic, sorted(known))
    pruned = {partition: Pruned(end) for partition, end in pruned_in_lake.items()}
    for of_log, number, *ranges in recorded:
        if of_log == log_id:
            partition = int(str(number))
            pruned[partition] = _pruned(pruned_in_lake.get(partition, 0), *ranges)  # type: ignore[arg-type]
    ends = {partition: each.end for partition, each in pruned.items()}
    parts["pruned"] = sql.Literal(json.dumps(ends))
    partitions = {}
    for row in connection.execute(_query("raw_partitions").format(**parts)):
        partition, *numbers = (int(str(value)) for value in row)
        partitions[partition] = LoadedPartition(*numbers)
    distinct = connection.execute(_query("distinct_events").format(**parts)).fetchone()
    excused: dict[tuple[str, int], list[Gap]] = {}
    for of_log, *bounds in connection.execute(_query("excused_gaps").format(**parts)):
        partition, start, end = (int(str(value)) for value in bounds)
        excused.setdefault((str(of_log), partition), []).append(Gap(start, end))
    return LoadedTopic(partitions, int(str(distinct[0])) if distinct else 0, excused, pruned_in_lake, pruned)


def _pruned(
    lake_end: int, recorded_end: int, ends: Sequence[int], offsets: Sequence[int], rows: Sequence[int]
) -> Pruned:
    """Return what is pruned according to the lake or PostgreSQL. A range that was only planned does not count."""
    end = max(lake_end, recorded_end)
    counted = [number for number, each in enumerate(ends) if each <= end]
    return Pruned(end, sum(offsets[number] for number in counted), sum(rows[number] for number in counted))


def _query(name: str) -> sql.SQL:
    return sql.SQL(read_sql("ingestion.ledger", name))
