"""Detach and drop old versions that no transaction can read any more. This never makes readers wait.

A transaction whose plan or snapshot was made just before a switch can read the previous version until the transaction
ends. So each switch records the transactions that were still running after its commit. Once all of them have ended, the
version before the switch is unused.

Before PostgreSQL detaches a partition, it waits for all transactions that use the mart, regardless of the version that
they read. While a long query is running, unused versions are therefore left for the next publication to drop. If there
are more than MAX_UNUSED_VERSIONS, the cleanup waits for running queries, but at most `locks.READERS_S` for all marts
together. The new publication is already visible at that time.
"""

import math
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from lakehouse.logs import get_logger
from lakehouse.publishing import locks
from lakehouse.publishing.views import SCHEMAS, statement
from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection

MAX_UNUSED_VERSIONS = 20
WAIT_MS = 300  # maximum wait for the lock to detach one partition, unless too many versions are unused
CLEANUP_LIMIT_S = 30.0  # limit for steps that do not wait for readers
LONG_USE_S = 0.05  # the cleanup does not wait for a transaction that has used a mart for longer than this


def drop_old_versions(connection: "Connection[Any]", kept: int) -> None:
    """Commit, then drop the unused versions.

    Three kinds of versions are not dropped: the current one, the `kept` versions before it, and those that were rolled
    back while the hold after the rollback lasts.

    This must be the last use of the connection, because it is switched to autocommit with different limits. Errors are
    only logged, because readers already see the right version, and the next call tries again.
    """
    connection.commit()
    started = time.monotonic()
    try:
        connection.set_autocommit(True)
        _limit(connection, started + CLEANUP_LIMIT_S)
        connection.execute(read_sql("lakehouse.publishing", "record_running_transactions").encode())
        found = connection.execute(
            read_sql("lakehouse.publishing", "unused_versions").encode(), {"kept": kept}
        ).fetchall()
        unused = [int(str(publication_id)) for (publication_id,) in found]
        if unused and len(unused) <= MAX_UNUSED_VERSIONS and _is_busy(connection):
            return
        detach_deadline, wait_ms = (
            (started + locks.READERS_S, None)
            if len(unused) > MAX_UNUSED_VERSIONS
            else (started + CLEANUP_LIMIT_S, WAIT_MS)
        )
        for publication_id in unused:
            _detach(connection, publication_id, detach_deadline, wait_ms)
        drop_deadline = time.monotonic() + CLEANUP_LIMIT_S
        for publication_id in unused:
            for schema in SCHEMAS:
                _limit(connection, drop_deadline)
                name = sql.Identifier(f"{schema}_v{publication_id}")
                connection.execute(statement("DROP SCHEMA IF EXISTS {} CASCADE", name))
        _limit(connection, drop_deadline)
        _drop_empty_stores(connection)
        _analyze_stores(connection)
        connection.execute(read_sql("lakehouse.publishing", "delete_old_switches").encode())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
        get_logger(__name__).info("an old version is still in use and will be dropped later", cause=str(error).strip())
    except TimeoutError:
        get_logger(__name__).info("time limit reached; the next publication will drop the remaining old versions")
    except psycopg.Error as error:
        get_logger(__name__).warning("old versions were not dropped and accumulate", cause=str(error).strip())


def _limit(connection: "Connection[Any]", deadline: float, wait_ms: float | None = None) -> None:
    """Limit each later statement to the time left until a deadline, and to `wait_ms` if that is less.

    Raises:
        TimeoutError: no time is left.
    """
    left_ms = int(min((deadline - time.monotonic()) * 1000, wait_ms or math.inf))
    if left_ms <= 0:
        raise TimeoutError
    # The steps need not survive a power cut, because the next publication repeats the cleanup.
    connection.execute(f"SET synchronous_commit = off; SET lock_timeout = {left_ms}; SET statement_timeout = {left_ms}")


def _is_busy(connection: "Connection[Any]") -> bool:
    """Return whether a transaction has been using a mart for longer than LONG_USE_S."""
    query = read_sql("lakehouse.publishing", "mart_users").encode()
    users = set(connection.execute(query).fetchall())
    if users:
        time.sleep(LONG_USE_S)
    return bool(users & set(connection.execute(query).fetchall()))


def _detach(connection: "Connection[Any]", publication_id: int, deadline: float, wait_ms: float | None) -> None:
    names = [f"{schema}_v{publication_id}" for schema in SCHEMAS]
    rows = connection.execute(
        read_sql("lakehouse.publishing", "partitions").encode(), {"schemas": list(SCHEMAS)}
    ).fetchall()
    # An interrupted detachment stays pending. It must be finished before another one of the same mart can start.
    for _, store, store_schema, version_schema, partition, is_pending in sorted(rows, key=lambda row: not row[5]):
        if is_pending or version_schema in names:
            _limit(connection, deadline, wait_ms)
            how = "FINALIZE" if is_pending else "CONCURRENTLY"
            parent, table = sql.Identifier(store_schema, store), sql.Identifier(version_schema, partition)
            connection.execute(statement(f"ALTER TABLE {{}} DETACH PARTITION {{}} {how}", parent, table))


def _drop_empty_stores(connection: "Connection[Any]") -> None:
    for schema, name in connection.execute(read_sql("lakehouse.publishing", "empty_stores").encode()).fetchall():
        connection.execute(statement("DROP TABLE {}", sql.Identifier(schema, name)))


def _analyze_stores(connection: "Connection[Any]") -> None:
    """Analyze partitioned tables as a whole, because the planner needs this for joins and autovacuum does not do it."""
    for schema, name in connection.execute(read_sql("lakehouse.publishing", "stores_to_analyze").encode()).fetchall():
        connection.execute(statement("ANALYZE ONLY {}", sql.Identifier(schema, name)))
