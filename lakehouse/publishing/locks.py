"""Locks that publishing waits for: how long, in one place, and who holds them when that was not enough."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from lakehouse.errors import RetryableError
from lakehouse.warehouse import read_sql

if TYPE_CHECKING:
    from psycopg import Connection

PUBLISHER_S = 60  # for another publication, or the preparation of a build, to end; and for what either needs for itself
# For readers, of all marts together. An analyst's statement ends after 120 s. Who lifts that limit may hold a mart for
# up to 600 s by a statement, 1,800 s by a transaction (infra.analysts.guard): so long nothing waits.
READERS_S = 150.0

PUBLISHER = r"^publishing\.publisher$"
BUILT_OR_PUBLISHED = r"^((marts|ml)(_build|_store|_v[0-9]+)?|publishing)\."


@contextmanager
def explained(connection: "Connection[Any]", what: str, tables: str) -> Iterator[None]:
    """Say who holds the tables (a regular expression) that a lock was waited for in vain; nothing of it is committed.

    Raises:
        RetryableError: a lock was not to be had within the transaction's `lock_timeout`.
    """
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        connection.rollback()
        raise RetryableError(f"{what} within {PUBLISHER_S} s{holders(connection, tables)}. Try again.") from error


def holders(connection: "Connection[Any]", tables: str) -> str:
    """Return which sessions hold locks on some tables, as the end of a sentence; empty where none does."""
    found = connection.execute(read_sql("lakehouse.publishing", "lock_holders").encode(), {"tables": tables}).fetchall()
    return f": {', '.join(name for (name,) in found)}" if found else ""
