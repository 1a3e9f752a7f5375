"""Connections to PostgreSQL by role, SQL files, and the environment that dbt reads."""

from importlib.resources import files
from urllib.parse import unquote, urlsplit

import psycopg

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings


def connect(
    dsn: str, *, application: str = "okr", autocommit: bool = False, idle_seconds: int = 0
) -> "psycopg.Connection[tuple[object, ...]]":
    """Open a connection in UTC. PostgreSQL ends it when it idles for `idle_seconds` (0: ever) inside a transaction.

    Raises:
        RetryableError: the server cannot be reached or refuses the login.
        PermanentError: the DSN is none.
    """
    try:
        return psycopg.connect(
            dsn,
            autocommit=autocommit,
            connect_timeout=10,
            application_name=application,
            options=f"-c timezone=UTC -c idle_in_transaction_session_timeout={idle_seconds}s",
        )
    except psycopg.ProgrammingError as error:
        raise PermanentError(
            f"Expected a DSN such as postgresql://role:password@host:5432/database for {application}, but it cannot be "
            "read. Look at the OKR_DSN_ settings."
        ) from error
    except psycopg.OperationalError as error:
        place = urlsplit(dsn)
        raise RetryableError(
            f"PostgreSQL at {place.hostname}:{place.port} did not accept role {place.username!r}: "
            f"{str(error).strip()} Is the stack up (`make status`)?"
        ) from error


def read_sql(package: str, name: str) -> str:
    """Return the text of `<name>.sql` that stands in a package's folder beside the code that runs it."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Variables that `dbt_project/profiles.yml` reads, from the transform role's DSN."""
    place = urlsplit(settings.require("dsn_transform"))
    return {
        "OKR_DBT_HOST": place.hostname or "127.0.0.1",
        "OKR_DBT_PORT": str(place.port or 5432),
        "OKR_DBT_USER": unquote(place.username or ""),
        "OKR_DBT_PASSWORD": unquote(place.password or ""),
        "OKR_DBT_DBNAME": place.path.lstrip("/"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
