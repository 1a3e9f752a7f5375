"""Read the published marts. Each read sees exactly one publication, even while another is being published."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from lakehouse.connection_limits import Limits
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger
from lakehouse.postgres_tls import certificate_problem
from lakehouse.warehouse import Connection as Limited
from lakehouse.warehouse import ServerUnresponsive, parts_of, read_sql, session
from serving.errors import NotPublished, PublishedByOlderRelease
from serving.processes.connection_gate import ConnectionGate

T = TypeVar("T")
Row = dict[str, Any]
Connection = psycopg.Connection[Any]

CONNECTIONS = 8
WAIT_S = 5.0
CHECK_S = 2.0  # a server that is not frozen answers the check of a connection in less than a millisecond
LIMITS = Limits(statement_s=15, lock_s=5, idle_s=60, grace_s=3)  # together less than the time limit of a request
BEGIN = b"BEGIN"
SNAPSHOT = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
ORGANISATION = sql.SQL("SELECT set_config('okr.organisation_id', {}, true)")
PUBLICATION = sql.SQL(read_sql("serving", "queries/current_publication"))
NOTHING_YET = (
    "Nothing has been published yet: the first successful run of okr_etl_dag publishes the marts. "
    "`okr publication current` shows the state."
)


@dataclass(frozen=True)
class Publication:
    """The publication that a value was read from. `data_as_of` is the recording time of its newest event, UTC.

    The fields are the columns of serving/queries/current_publication.sql, in their order.
    """

    publication_id: int
    published_at: datetime
    data_as_of: datetime
    model_version: str | None


@dataclass(frozen=True)
class Published(Generic[T]):
    """A value and the publication that it was read from."""

    publication: Publication
    value: T


@dataclass(frozen=True)
class Reader:
    """Runs queries from the SQL files of packages on one connection."""

    connection: Connection

    def rows(self, package: str, name: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[Row]:
        """Run `<package>/queries/<name>.sql` and return its rows."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(read_sql(package, f"queries/{name}").encode(), values).fetchall()

    def execute(self, package: str, name: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> int:
        """Run `<package>/queries/<name>.sql`, which returns nothing, and return the number of affected rows."""
        return self.connection.execute(read_sql(package, f"queries/{name}").encode(), values).rowcount


@dataclass(frozen=True)
class PublishedReader(Reader):
    """Reads the marts in one snapshot. `publication` is the publication in that snapshot."""

    publication: Publication


class Warehouse:
    """A connection pool of one of the API's roles. Open it before use, and close it at the end.

    It opens at least `least` connections.
    """

    def __init__(self, dsn: str, *, least: int = 1) -> None:
        self._gate = ConnectionGate("PostgreSQL", CONNECTIONS, WAIT_S)
        # Do not prepare statements, because a cached plan may refer to the previous publication. `_begin` starts each
        # transaction, so psycopg must not: that would be another round trip.
        options = {"prepare_threshold": None, "autocommit": True}
        self._pool = ConnectionPool(
            kwargs=session(dsn, "okr-serving", LIMITS) | options,
            connection_class=self._watched(parts_of(dsn)),
            configure=_limit,
            min_size=least,
            max_size=CONNECTIONS,
            timeout=WAIT_S,
            # The pool's pauses between attempts grow up to minutes. After this time, a caller starts the next attempt.
            reconnect_timeout=WAIT_S,
            open=False,
            check=self._begin,
            name="warehouse",
        )
        self._scope: tuple[sql.Composed, ...] = ()
        self._snapshot = _snapshot(self._scope)

    def _watched(self, parts: Mapping[str, str]) -> type[Limited[Any]]:
        """Return a class of connections that reports to the gate if the server cannot be reached."""
        gate = self._gate

        class Watched(Limited[Any]):
            @classmethod
            def connect(cls, *arguments: Any, **values: Any) -> Any:
                try:
                    return super().connect(*arguments, **values)
                except psycopg.Error as error:
                    if "FATAL:" not in str(error):  # otherwise it responded, for example with "too many connections"
                        gate.report_failure()
                    if problem := certificate_problem(error, parts):
                        get_logger(__name__).error("PostgreSQL is not used", reason=problem)
                    raise

        return Watched

    def _begin(self, connection: Connection) -> None:
        """Start the transaction of a caller that gets a connection, which is also the check that it is not dead.

        If the connection is dead, raise an error and replace all other connections, because a server restart closes all
        of them. The pool then tries another connection. The pool's own check waits longer after each dead connection,
        so a few of them would make requests time out.
        """
        try:
            _set_timeout(connection, CHECK_S)
            connection.execute(BEGIN)
            _set_timeout(connection, LIMITS.response_s)
        except psycopg.Error as error:
            if isinstance(error, ServerUnresponsive):
                self._gate.report_failure()
            self._pool.drain()
            raise

    def open(self) -> None:
        """Start the pool. It retries in the background while PostgreSQL is unavailable."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close(timeout=WAIT_S)

    def restricted_to(self, organisation_id: str) -> "Warehouse":
        """Return a warehouse that shares the connections and names an organisation in each transaction.

        For the role okr_organisation, PostgreSQL then returns only rows of this organisation (ADR 30).
        """
        restricted = copy.copy(self)
        restricted._scope = (ORGANISATION.format(sql.Literal(organisation_id)),)
        restricted._snapshot = _snapshot(restricted._scope)
        return restricted

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection for one transaction.

        Raises:
            RetryableError: PostgreSQL is unavailable, or all connections are busy for more than WAIT_S seconds.
        """
        with self._transaction() as connection:
            for statement in self._scope:
                connection.execute(statement)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Yield a connection on which `_begin` has started a transaction."""
        try:
            with self._gate.passing(), self._pool.connection() as connection:
                self._gate.report_success()
                yield connection
        except (PoolTimeout, ServerUnresponsive) as error:
            self._gate.report_failure()
            raise self._gate.unavailable() from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise RetryableError(
                f"The connection to the warehouse was lost ({type(error).__name__}). Try again."
            ) from error

    def publication(self) -> Publication:
        """Return the current publication.

        Raises:
            NotPublished: there is none yet.
        """
        with self._transaction() as connection:
            return _publication(connection, self._snapshot)

    def read(self, work: Callable[[PublishedReader], T]) -> Published[T]:
        """Run `work` in one snapshot and return its result with the publication that it was read from.

        Raises:
            NotPublished, PublishedByOlderRelease, RetryableError: as in `snapshot`.
        """
        with self.snapshot() as reader:
            return Published(reader.publication, work(reader))

    @contextmanager
    def snapshot(self) -> Iterator[PublishedReader]:
        """Yield a reader whose statements all see one snapshot.

        The views look up their version in a table, so a snapshot always sees exactly one publication.

        Raises:
            NotPublished: there is no publication yet.
            PublishedByOlderRelease: the marts lack a table or column that a statement reads.
            RetryableError: the warehouse is unavailable.
        """
        with self._transaction() as connection:
            publication = _publication(connection, self._snapshot)
            try:
                yield PublishedReader(connection, publication)
            except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
                raise PublishedByOlderRelease(
                    f"Publication {publication.publication_id} was published by an older release and lacks data that "
                    f"this release reads ({error.diag.message_primary}). A run of okr_etl_dag starts within a minute "
                    "and publishes it; if it does not, `okr status` shows why. Try again."
                ) from error


def _limit(connection: Connection) -> None:
    _set_timeout(connection, LIMITS.response_s)


def _set_timeout(connection: Connection, seconds: float | None) -> None:
    if isinstance(connection, Limited):
        connection.response_timeout_s = seconds


def _snapshot(scope: Sequence[sql.Composed]) -> sql.Composed:
    """Return the statements that start a snapshot and read its publication, for one round trip."""
    return sql.SQL("; ").join((SNAPSHOT, *scope, PUBLICATION))


def _publication(connection: Connection, snapshot: sql.Composed) -> Publication:
    """Start a snapshot in a new transaction and return its publication.

    Raises:
        NotPublished: there is none yet.
    """
    try:
        row = connection.execute(snapshot).set_result(-1).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None  # the transaction ends with the error below
    if row is None:
        raise NotPublished(NOTHING_YET)
    return Publication(*row)
