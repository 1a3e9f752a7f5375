"""Connections to PostgreSQL by role, SQL files, and the environment that dbt reads."""

from importlib.resources import files

import psycopg
from psycopg.conninfo import conninfo_to_dict

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings


def connect(
    dsn: str, *, application: str = "okr", autocommit: bool = False, idle_seconds: int = 0
) -> "psycopg.Connection[tuple[object, ...]]":
    """Open a connection in UTC. PostgreSQL ends it when it idles for `idle_seconds` (0: ever) inside a transaction.

    Raises:
        RetryableError: the server cannot be reached or refuses the login.
        PermanentError: the DSN cannot be read.
    """
    parts = parts_of(dsn)
    try:
        return psycopg.connect(
            dsn,
            autocommit=autocommit,
            connect_timeout=10,
            application_name=application,
            options=f"-c timezone=UTC -c idle_in_transaction_session_timeout={idle_seconds}s",
        )
    except psycopg.OperationalError as error:
        raise RetryableError(
            f"PostgreSQL at {parts['host']}:{parts['port']} did not accept role {parts['user']!r}: "
            f"{str(error).strip()} Is the stack up (`make status`)?"
        ) from error


def parts_of(dsn: str) -> dict[str, str]:
    """Return host, port, dbname, user, password and what else a DSN holds, as libpq reads it.

    Raises:
        PermanentError: it cannot be read; what it holds is not told, for the password is in it.
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise PermanentError(
            "Expected a DSN such as postgresql://role:password@host:5432/database, but one of the OKR_DSN_ settings "
            "cannot be read."
        ) from None
    usual = {"host": "127.0.0.1", "port": "5432", "dbname": "", "user": "", "password": ""}
    return usual | {name: str(value) for name, value in parts.items()}


def read_sql(package: str, name: str) -> str:
    """Return the text of `<name>.sql` that stands in a package's folder beside the code that runs it."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Variables that `dbt_project/profiles.yml` reads, from the transform role's DSN."""
    parts = parts_of(settings.require("dsn_transform"))
    return {
        "OKR_DBT_HOST": parts["host"],
        "OKR_DBT_PORT": parts["port"],
        "OKR_DBT_USER": parts["user"],
        "OKR_DBT_PASSWORD": parts["password"],
        "OKR_DBT_DBNAME": parts["dbname"],
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
