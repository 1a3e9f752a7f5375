"""One transaction of a migration. Two migrations never run at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.migrations.revisions import FOLDER, unknown
from infra.postgres.version import require_version
from lakehouse.connection_limits import Limits
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.postgres_tls import certificate_problem
from lakehouse.warehouse import parts_of, sqlalchemy_url

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

ADVISORY_LOCK_ID = 7_405_002
INSUFFICIENT_RESOURCES = "53"  # class of error codes, for example of a full disk
# The server ends the transaction of a client that has died, instead of waiting for locks on its behalf.
NOTICE_DEAD_CLIENT = "-c client_connection_check_interval=1s"


@contextmanager
def transaction(dsn_owner: str, limits: Limits) -> "Iterator[tuple[Connection, Config]]":
    """Yield a connection in a transaction that no other migration runs beside, and Alembic's settings for it.

    The transaction is committed at the end, or rolled back completely.

    Raises:
        RetryableError: the database cannot be reached, or a limit was exceeded.
        PermanentError: the server is too old, a revision failed, or this code does not know the database's revision.
    """
    import psycopg
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine, exc, text
    from sqlalchemy.pool import NullPool

    url = sqlalchemy_url(dsn_owner, "okr-migrate", limits=limits, options=NOTICE_DEAD_CLIENT)
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            require_version(int(connection.execute(text("SHOW server_version_num")).scalar_one()))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
            yield connection, _config(connection)
    except (exc.DBAPIError, psycopg.Error) as error:
        cause = getattr(error, "orig", error)
        said = " ".join(str(cause).split()).rstrip(".")
        if isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith(INSUFFICIENT_RESOURCES):
            raise RetryableError(
                f"A migration was rolled back, because the server lacks resources: {said}. Free disk space on the "
                "database server, then repeat the command."
            ) from error
        if isinstance(cause, psycopg.OperationalError):
            advice = certificate_problem(cause, parts_of(dsn_owner)) or "Is the stack up?"
            raise RetryableError(f"The warehouse could not be migrated: {said}. {advice}") from error
        raise PermanentError(f"A migration failed and was rolled back: {said}.") from error
    except CommandError as error:
        raise unknown(error) from error


def _config(connection: "Connection") -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
