"""Connections to PostgreSQL by role, whatever client makes them, and SQL files.

A DSN is read here alone (`parts_of`), so that what it says (sslmode and its like) holds for psycopg, SQLAlchemy, dbt,
Great Expectations, MLflow and Airflow. No connection of ours waits for ever: see `Limits`.
"""

from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lakehouse.connection_limits import BATCH, GRACE_S, NETWORK_TIMEOUTS, Limits
from lakehouse.environment import forget_libpq_variables
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

T = TypeVar("T")
Row_co = TypeVar("Row_co", covariant=True)


class Connection(psycopg.Connection[Row_co]):
    """A connection that fails when the server says nothing for `answer_s` seconds, instead of waiting for ever.

    Keepalives do not notice a frozen server, nor a proxy that accepts and forwards nothing: their kernels answer.
    """

    answer_s: float | None = BATCH.statement_s + GRACE_S

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait as psycopg does, but with a limit.

        Raises:
            psycopg.OperationalError: the server did not answer; the connection is closed.
        """
        limit = self.answer_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()  # not `close`, which may wait for the server again
            raise psycopg.OperationalError(f"The server has said nothing for {limit:.0f} s.") from error


def connect(
    dsn: str, *, application: str = "okr", autocommit: bool = False, limits: Limits = BATCH
) -> "Connection[tuple[object, ...]]":
    """Open a connection in UTC, with limits.

    Raises:
        RetryableError: the server cannot be reached or refuses the login.
        PermanentError: the DSN cannot be read.
    """
    parts = parts_of(dsn)
    try:
        connection: Connection[tuple[object, ...]] = Connection.connect(
            make_conninfo(**session(dsn, application, limits)), autocommit=autocommit
        )
    except psycopg.OperationalError as error:
        raise RetryableError(
            f"PostgreSQL at {parts.get('hostaddr') or parts['host']}:{parts['port']} did not accept role "
            f"{parts['user']!r}: {str(error).strip()} Is the stack up (`make status`)?"
        ) from error
    connection.answer_s = limits.statement_s + GRACE_S if limits.statement_s else None
    return connection


def session(dsn: str, application: str, limits: Limits | None = BATCH, options: str = "") -> dict[str, str]:
    """Return every libpq parameter of a session: what the DSN says, then our patience, name, limits and `options`.

    The environment has no say: variables of libpq's are removed from it.
    """
    forget_libpq_variables()
    named = parts_of(dsn)
    ours = {"application_name": application}
    if limits is not None:
        ours["options"] = f"{named.get('options', '')} {limits.options} {options}".strip()
    return {name: value for name, value in (NETWORK_TIMEOUTS | named | ours).items() if value}


def parts_of(dsn: str) -> dict[str, str]:
    """Return host, port, dbname, user, password and what else a DSN holds, as libpq reads it.

    A URL of SQLAlchemy's is one, too: the driver in its scheme is left out.

    Raises:
        PermanentError: it cannot be read; what it holds is not told, for the password is in it.
    """
    scheme, separator, rest = dsn.partition("://")
    dialect = scheme.partition("+")[0]
    try:
        parts = conninfo_to_dict(f"{dialect}://{rest}" if separator and "=" not in scheme else dsn)
    except psycopg.ProgrammingError:
        raise PermanentError(
            "Expected a DSN such as postgresql://role:password@host:5432/database, but one of the OKR_DSN_ settings "
            "cannot be read."
        ) from None
    usual = {"host": "127.0.0.1", "port": "5432", "dbname": "", "user": "", "password": ""}
    return usual | {name: str(value) for name, value in parts.items()}


def sqlalchemy_url(
    dsn: str, application: str, *, driver: str = "psycopg", limits: Limits | None = BATCH, options: str = ""
) -> str:
    """Return a DSN as SQLAlchemy's URL for a driver over libpq, with everything that `session` says."""
    from sqlalchemy.engine import URL

    values = session(dsn, application, limits, options)
    user, password, database = (values.pop(name, None) for name in ("user", "password", "dbname"))
    host, port = None, None
    if not set("/,") & set(values["host"]):  # one server over TCP; sockets and several servers only fit into the query
        host, port = values.pop("host"), int(values.pop("port"))
    url = URL.create(f"postgresql+{driver}", user, password, host, port, database, values)
    return url.render_as_string(hide_password=False)


def limit_answers(engine: "Engine", limits: Limits) -> None:
    """Let the psycopg connections that a SQLAlchemy engine makes from now on give up as ours do."""
    from sqlalchemy import event

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: list[str], values: dict[str, str]) -> Connection[object]:
        connection: Connection[object] = Connection.connect(*arguments, **values)  # type: ignore[arg-type]
        connection.answer_s = limits.statement_s + GRACE_S if limits.statement_s else None
        return connection


def read_sql(package: str, name: str) -> str:
    """Return the text of `<name>.sql` that stands in a package's folder beside the code that runs it."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


# What dbt's adapter knows of libpq's parameters besides the address; and what only tunes, so that nothing is lost.
DBT_KNOWS = ("sslmode", "sslcert", "sslkey", "sslrootcert")
ONLY_TUNES = {*NETWORK_TIMEOUTS, "application_name", "client_encoding", "fallback_application_name", "options"}


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that `dbt_project/profiles.yml` reads, from the transform role's DSN.

    Raises:
        PermanentError: the DSN holds a parameter that dbt cannot pass on: dropping it might drop a safeguard.
    """
    parts = parts_of(settings.require("dsn_transform"))
    address = ("host", "port", "user", "password", "dbname")
    if lost := parts.keys() - {*address, *DBT_KNOWS, *ONLY_TUNES}:
        raise PermanentError(
            f"OKR_DSN_TRANSFORM holds {', '.join(sorted(lost))}, which dbt cannot pass on to PostgreSQL. Leave it out; "
            f"of the parameters that secure a connection dbt knows {', '.join(DBT_KNOWS)}."
        )
    return {f"OKR_DBT_{name.upper()}": parts.get(name, "") for name in (*address, *DBT_KNOWS)} | {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
