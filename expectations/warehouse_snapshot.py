"""A snapshot of the warehouse for many queries, unaffected by concurrent loads, builds and publications."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.connection_limits import Limits
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    from psycopg import Connection
    from sqlalchemy import Engine

# The connection is idle while others use its snapshot. idle_s is the longest time that a task of data_quality_dag may
# take.
LIMITS = Limits(statement_s=120, lock_s=60, idle_s=1800)


@dataclass(frozen=True)
class Snapshot:
    """An open transaction and the name by which other connections can use its snapshot."""

    connection: "Connection[tuple[object, ...]]"
    name: str

    def up_to_date_publication(self) -> int | None:
        """Return the id of the current publication if raw and intermediate still match it, else None."""
        return _matching_publication(self.connection)


@contextmanager
def snapshot(dsn: str) -> Iterator[Snapshot]:
    """Keep a snapshot of the warehouse open. The marts of its publication are not dropped while it is open.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-snapshot", limits=LIMITS) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        exported = connection.execute("SELECT pg_export_snapshot()").fetchone()
        yield Snapshot(connection, str(exported[0]))  # type: ignore[index]


def use_snapshot(engine: "Engine", name: str) -> None:
    """Make every transaction of a SQLAlchemy engine use the exported snapshot."""
    from sqlalchemy import Connection, event

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{name}'")


def up_to_date_publication(dsn: str) -> int | None:
    """Return the id of the current publication if raw and intermediate still match it, else None.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-snapshot") as connection:
        return _matching_publication(connection)


def _matching_publication(connection: "Connection[tuple[object, ...]]") -> int | None:
    row = connection.execute(read_sql("expectations", "up_to_date_publication")).fetchone()
    return int(str(row[0])) if row else None
