"""Versions that nobody can read any more are detached and dropped. No reader waits for it.

A statement may read a version for as long as the transaction that it belongs to runs, even if its plan or snapshot was
made just before the switch away from it. So each switch records which transactions ran when it was through; once none
of them runs any more, what was current before it is free.

To detach a partition PostgreSQL waits for everybody who uses the mart, whichever version. While a long query does, what
is free is left to the next publication, but for the case that more than MANY versions have gathered: then it waits for
the queries that run now, `locks.READERS_S` at most for all marts together. Readers see what was published long before.
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

MANY = 20
WAIT_MS = 300
WORK_S = 30.0  # for all that waits for nobody
LONG_S = 0.05  # whoever uses a mart for longer is waited for by nobody


def drop_old_versions(connection: "Connection[Any]", kept: int) -> None:
    """Commit, and drop versions but the current one, `kept` before it, and what was rolled back until `resume`.

    It is the last that a connection is used for: its limits are others afterwards, and each statement a transaction.
    An error is logged and goes no further: readers have the right version already, and the next call tries again.
    """
    connection.commit()
    began = time.monotonic()
    try:
        connection.set_autocommit(True)
        _limit(connection, began + WORK_S)
        connection.execute(read_sql("lakehouse.publishing", "record_running_transactions").encode())
        found = connection.execute(
            read_sql("lakehouse.publishing", "unused_versions").encode(), {"kept": kept}
        ).fetchall()
        outdated = [int(str(publication_id)) for (publication_id,) in found]
        if outdated and len(outdated) <= MANY and _is_busy(connection):
            return
        detached_by, wait_ms = (began + locks.READERS_S, None) if len(outdated) > MANY else (began + WORK_S, WAIT_MS)
        for publication_id in outdated:
            _detach(connection, publication_id, detached_by, wait_ms)
        dropped_by = time.monotonic() + WORK_S
        for publication_id in outdated:
            for schema in SCHEMAS:
                _limit(connection, dropped_by)
                name = sql.Identifier(f"{schema}_v{publication_id}")
                connection.execute(statement("DROP SCHEMA IF EXISTS {} CASCADE", name))
        _limit(connection, dropped_by)
        _drop_empty_stores(connection)
        _analyze_stores(connection)
        connection.execute(read_sql("lakehouse.publishing", "delete_old_switches").encode())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
        get_logger(__name__).info("an outdated version is still in use and is dropped later", cause=str(error).strip())
    except TimeoutError:
        get_logger(__name__).info("outdated versions are left to the next publication: no time is left for them")
    except psycopg.Error as error:
        get_logger(__name__).warning("outdated versions were not dropped, they gather", cause=str(error).strip())


def _limit(connection: "Connection[Any]", deadline: float, wait_ms: float | None = None) -> None:
    """Let each statement from now on take what is left until a deadline, `wait_ms` at most.

    Raises:
        TimeoutError: nothing is left.
    """
    left_ms = int(min((deadline - time.monotonic()) * 1000, wait_ms or math.inf))
    if left_ms <= 0:
        raise TimeoutError
    # Nothing here has to survive a power cut: what is not dropped is dropped by the next publication.
    connection.execute(f"SET synchronous_commit = off; SET lock_timeout = {left_ms}; SET statement_timeout = {left_ms}")


def _is_busy(connection: "Connection[Any]") -> bool:
    """Say whether a transaction that uses a mart takes longer than most."""
    query = read_sql("lakehouse.publishing", "mart_users").encode()
    users = set(connection.execute(query).fetchall())
    if users:
        time.sleep(LONG_S)
    return bool(users & set(connection.execute(query).fetchall()))


def _detach(connection: "Connection[Any]", publication_id: int, deadline: float, wait_ms: float | None) -> None:
    names = [f"{schema}_v{publication_id}" for schema in SCHEMAS]
    rows = connection.execute(
        read_sql("lakehouse.publishing", "partitions").encode(), {"schemas": list(SCHEMAS)}
    ).fetchall()
    # A detachment that was interrupted is pending, and no other of the same mart may begin before it has ended.
    for _, store, store_schema, version_schema, partition, is_pending in sorted(rows, key=lambda row: not row[5]):
        if is_pending or version_schema in names:
            _limit(connection, deadline, wait_ms)
            how = "FINALIZE" if is_pending else "CONCURRENTLY"
            place, table = sql.Identifier(store_schema, store), sql.Identifier(version_schema, partition)
            connection.execute(statement(f"ALTER TABLE {{}} DETACH PARTITION {{}} {how}", place, table))


def _drop_empty_stores(connection: "Connection[Any]") -> None:
    for schema, name in connection.execute(read_sql("lakehouse.publishing", "empty_stores").encode()).fetchall():
        connection.execute(statement("DROP TABLE {}", sql.Identifier(schema, name)))


def _analyze_stores(connection: "Connection[Any]") -> None:
    """Make what joins are planned by: statistics of whole partitioned tables, which autovacuum leaves out."""
    for schema, name in connection.execute(read_sql("lakehouse.publishing", "stores_to_analyze").encode()).fetchall():
        connection.execute(statement("ANALYZE ONLY {}", sql.Identifier(schema, name)))
