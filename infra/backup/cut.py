"""Find a moment at which PostgreSQL and the lake agree, and mark it in PostgreSQL's write-ahead log.

At the mark, these hold, whatever clocks say:
- raw and the state tables are not ahead of the lake, because loading and the state consumer wait for the mark;
- PostgreSQL has the key of every personal field in the lake, because keys are committed before values.

Landing is not stopped. Loading and the state consumer wait for some milliseconds, or until landing has caught up.
"""

import time
from collections.abc import Collection, Mapping
from typing import Any

import psycopg

from infra.backup import lake
from infra.backup.lake import TableVersion
from infra.backup.point import Cut
from lakehouse.contracts import TOPICS
from lakehouse.errors import InvariantBroken, PermanentError, RetryableError
from lakehouse.warehouse import connect

CATCH_UP_SECONDS = 15.0
Offsets = dict[str, dict[int, int]]
Connection = psycopg.Connection[Any]

# The locks of ingestion/state/lock_group.sql and ingestion/loading/lock_topic.sql.
LOCK_STATE = """
SELECT pg_advisory_xact_lock(hashtextextended('okr state ' || log_id || '/' || consumer_group, 0))
FROM (SELECT DISTINCT log_id, consumer_group FROM app.consumer_offset) AS consumers
"""
LOCK_LOADS = """
SELECT pg_advisory_xact_lock(hashtextextended('okr load ' || topic, 0)) FROM unnest(%s::text []) AS topics (topic)
"""
APPLIED = "SELECT topic, kafka_partition, max(next_offset), log_id FROM app.consumer_offset GROUP BY 1, 2, 4"
LOADED = "SELECT topic, kafka_partition, next_offset, log_id FROM raw.load_watermark"
DESTROYED = "SELECT owner FROM app.data_key WHERE destroyed_at IS NOT NULL ORDER BY owner"


def make_cut(dsn: str, lake_uri: str, name: str) -> Cut:
    """Mark a moment and return the positions of all parts at it.

    Raises:
        RetryableError: PostgreSQL or the lake cannot be read, or a load has been running for too long.
        PermanentError: the warehouse has no schema.
        InvariantBroken: the warehouse is ahead of the lake.
    """
    try:
        with connect(dsn, application="okr-backup") as connection, connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '5min'")
            connection.execute(LOCK_STATE)
            versions: Mapping[str, TableVersion] = lake.current_versions(lake_uri)
            logs = {each.log_id for each in versions.values()}
            applied = _offsets(connection, APPLIED, logs)
            versions = _wait_for_landing(lake_uri, versions, applied)
            connection.execute(LOCK_LOADS, [list(TOPICS)])
            loaded = _offsets(connection, LOADED, logs)
            if behind(versions, loaded):
                versions = lake.current_versions(lake_uri)  # something landed and was loaded before this lock
            _require_lake_ahead(versions, loaded)
            destroyed = tuple(str(owner) for (owner,) in connection.execute(DESTROYED))
            revision = _value(connection, "SELECT max(version_num) FROM public.schema_version")
            at = _value(connection, "SELECT clock_timestamp()")
            connection.execute("SELECT pg_create_restore_point(%s)", [name])
        return Cut(name, at.isoformat(), versions, loaded, applied, destroyed, str(revision))
    except psycopg.errors.UndefinedTable as error:
        raise PermanentError(
            "The warehouse has no schema yet. Run `okr migrate` (or `make up`) before a backup."
        ) from error
    except psycopg.Error as error:
        raise RetryableError(
            f"PostgreSQL failed while a recovery point was made: {' '.join(str(error).split())}"
        ) from error


def offsets_of(connection: Connection, logs: Collection[str]) -> tuple[Offsets, Offsets]:
    """Return the watermarks of raw and the offsets of the state tables, in these logs of Kafka."""
    return _offsets(connection, LOADED, logs), _offsets(connection, APPLIED, logs)


def _offsets(connection: Connection, query: str, logs: Collection[str]) -> Offsets:
    found: Offsets = {}
    for topic, partition, offset, log_id in connection.execute(query.encode()):
        if log_id is None or log_id in logs:  # others are of a Kafka that was re-created
            partitions = found.setdefault(topic, {})
            partitions[partition] = max(offset, partitions.get(partition, 0))
    return found


def _value(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def _wait_for_landing(
    lake_uri: str, versions: Mapping[str, TableVersion], applied: Offsets
) -> Mapping[str, TableVersion]:
    """Wait until everything that the state tables have has landed, or until landing has taken too long.

    If landing is down, its events are in Kafka and in PostgreSQL, but in no lake that could be saved. A restore then
    lets landing read them again or, without Kafka, says how many are lost.
    """
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while behind(versions, applied) and time.monotonic() < deadline:
        time.sleep(0.2)
        versions = lake.current_versions(lake_uri)
    return versions


def behind(versions: Mapping[str, TableVersion], offsets: Mapping[str, Mapping[int, int]]) -> list[str]:
    """Return the partitions in which the lake is behind these offsets, in words."""
    return [
        f"{topic}/{partition}: {versions[topic].positions.get(partition, 0)} of {offset}"
        for topic, partitions in offsets.items()
        if topic in versions
        for partition, offset in partitions.items()
        if versions[topic].positions.get(partition, 0) < offset
    ]


def _require_lake_ahead(versions: Mapping[str, TableVersion], loaded: Offsets) -> None:
    if late := behind(versions, loaded):
        raise InvariantBroken(
            f"The warehouse is ahead of the lake: {'; '.join(late)}. No recovery point was made. Run `okr lake verify` "
            "and follow docs/runbooks/lake-verify.md."
        )
