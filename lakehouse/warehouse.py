"""Connect to PostgreSQL, for every role and client library, and read the SQL files of packages.

Only this module parses DSNs (`parts_of`), so that their parameters, such as sslmode, apply to psycopg, SQLAlchemy, dbt,
Great Expectations, MLflow and Airflow alike. Every connection has timeouts (see `lakehouse.connection_limits`).
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lakehouse.connection_limits import BATCH, NETWORK_TIMEOUTS, Limits
from lakehouse.environment import remove_libpq_variables
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.postgres_tls import certificate_problem
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

T = TypeVar("T")
Row_co = TypeVar("Row_co", covariant=True)


class ServerUnresponsive(psycopg.OperationalError):
    """The server accepted a connection but did not respond in time."""


class Connection(psycopg.Connection[Row_co]):
    """A connection that fails if the server does not respond within `response_timeout_s` seconds.

    Keepalives do not detect a frozen server or a stuck proxy, because the kernel of that host still answers them.
    """

    response_timeout_s: float | None = BATCH.response_s

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait as psycopg does, but with a timeout.

        Raises:
            ServerUnresponsive: the server did not respond; the connection is closed.
        """
        limit = self.response_timeout_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()  # not `close`, which may wait for the server again
            raise ServerUnresponsive(f"The server has not responded for {limit:.0f} s.") from error


def connect(
    dsn: str, *, application: str = "okr", autocommit: bool = False, limits: Limits = BATCH
) -> "Connection[tuple[object, ...]]":
    """Open a connection with the time zone UTC and with limits.

    Raises:
        RetryableError: the server is unreachable or rejects the login.
        PermanentError: the DSN is invalid.
    """
    parts = parts_of(dsn)
    try:
        connection: Connection[tuple[object, ...]] = Connection.connect(
            make_conninfo(**session(dsn, application, limits)), autocommit=autocommit
        )
    except psycopg.OperationalError as error:
        raise RetryableError(
            f"PostgreSQL at {parts.get('hostaddr') or parts['host']}:{parts['port']} did not accept a "
            f"connection of role {parts['user']!r}: {' '.join(str(error).split())} "
            f"{certificate_problem(error, parts) or 'Is the stack up (`make status`)?'}"
        ) from error
    connection.response_timeout_s = limits.response_s
    return connection


def session(dsn: str, application: str, limits: Limits | None = BATCH, options: str = "") -> dict[str, str]:
    """Return all libpq parameters of a session: the DSN's, network timeouts, name, limits and `options`.

    PG* variables have no effect, because they are removed from the environment.
    """
    remove_libpq_variables()
    from_dsn = parts_of(dsn)
    added = {"application_name": application}
    if limits is not None:
        added["options"] = f"{from_dsn.get('options', '')} {limits.options} {options}".strip()
    return {name: value for name, value in (NETWORK_TIMEOUTS | from_dsn | added).items() if value}


def parts_of(dsn: str) -> dict[str, str]:
    """Return host, port, dbname, user, password and all other parameters of a DSN, as libpq reads it.

    A SQLAlchemy URL is accepted too; the driver in its scheme is ignored.

    Raises:
        PermanentError: the DSN is invalid; the message does not show it, because it contains the password.
    """
    scheme, separator, rest = dsn.partition("://")
    dialect = scheme.partition("+")[0]
    try:
        parts = conninfo_to_dict(f"{dialect}://{rest}" if separator and "=" not in scheme else dsn)
    except psycopg.ProgrammingError:
        raise PermanentError(
            "Expected a DSN such as postgresql://role:password@host:5432/database, but one of the OKR_DSN_ settings "
            "is invalid."
        ) from None
    defaults = {"host": "127.0.0.1", "port": "5432", "dbname": "", "user": "", "password": ""}
    return defaults | {name: str(value) for name, value in parts.items()}


def sqlalchemy_url(
    dsn: str, application: str, *, driver: str = "psycopg", limits: Limits | None = BATCH, options: str = ""
) -> str:
    """Return a DSN as a SQLAlchemy URL for a driver based on libpq, with all parameters of `session`."""
    from sqlalchemy.engine import URL

    values = session(dsn, application, limits, options)
    user, password, database = (values.pop(name, None) for name in ("user", "password", "dbname"))
    host, port = None, None
    if not set("/,") & set(values["host"]):  # one server over TCP; sockets and several servers go into the query
        host, port = values.pop("host"), int(values.pop("port"))
    url = URL.create(f"postgresql+{driver}", user, password, host, port, database, values)
    return url.render_as_string(hide_password=False)


def set_response_timeout(engine: "Engine", response_s: float | None) -> None:
    """Apply the response timeout of `Connection` to the psycopg connections that a SQLAlchemy engine opens."""
    from sqlalchemy import event

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: list[str], values: dict[str, str]) -> Connection[object]:
        connection: Connection[object] = Connection.connect(*arguments, **values)  # type: ignore[arg-type]
        connection.response_timeout_s = response_s
        return connection


@cache  # reading a file takes longer than most requests spend on anything else
def read_sql(package: str, name: str) -> str:
    """Return the text of `<name>.sql` in the folder of a package."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


# The libpq parameters that dbt's adapter supports in addition to the address, and those that can safely be omitted.
DBT_PARAMETERS = ("sslmode", "sslcert", "sslkey", "sslrootcert")
OPTIONAL_PARAMETERS = {*NETWORK_TIMEOUTS, "application_name", "client_encoding", "fallback_application_name", "options"}


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that `dbt_project/profiles.yml` reads, from the DSN of the transform role.

    Raises:
        PermanentError: the DSN has a parameter that dbt cannot pass to PostgreSQL. Omitting it could disable a security
            measure.
    """
    parts = parts_of(settings.require("dsn_transform"))
    address = ("host", "port", "user", "password", "dbname")
    if unsupported := parts.keys() - {*address, *DBT_PARAMETERS, *OPTIONAL_PARAMETERS}:
        raise PermanentError(
            f"OKR_DSN_TRANSFORM contains {', '.join(sorted(unsupported))}, which dbt cannot pass to PostgreSQL. "
            f"Remove this from the DSN. The only TLS parameters that dbt supports are {', '.join(DBT_PARAMETERS)}."
        )
    return {f"OKR_DBT_{name.upper()}": parts.get(name, "") for name in (*address, *DBT_PARAMETERS)} | {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
