"""Limit how long publishing waits for locks, and name the sessions that hold them after a timeout."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from lakehouse.errors import RetryableError
from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection

# Maximum time to wait for another publication or build preparation, and for locks on the tables of either.
PUBLISHER_S = 60
# Maximum time to wait for the readers of all marts together. By default, analysts' statements are cancelled after
# 120 s. A session that raises its limits can lock a mart for up to 600 s with one statement and 1,800 s with one
# transaction (infra/analysts). Publishing does not wait that long.
READERS_S = 150.0

PUBLISHER = r"^publishing\.publisher$"
BUILT_OR_PUBLISHED = r"^((marts|ml)(_build|_store|_v[0-9]+)?|publishing)\."


@contextmanager
def explained(connection: "Connection[Any]", what: str, tables: str) -> Iterator[None]:
    """After a lock timeout, roll back and raise an error that names the sessions with locks on `tables` (a pattern).

    Raises:
        RetryableError: a lock was not granted within the transaction's `lock_timeout`.
    """
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        connection.rollback()
        raise RetryableError(f"{what} within {PUBLISHER_S} s{holders(connection, tables)}. Try again.") from error


def holders(connection: "Connection[Any]", tables: str) -> str:
    """Return the sessions that hold locks on the given tables, as the end of a sentence; empty if there are none."""
    found = connection.execute(read_sql("lakehouse.publishing", "lock_holders").encode(), {"tables": tables}).fetchall()
    return f": {', '.join(name for (name,) in found)}" if found else ""
