"""`okr migrate`: brings the warehouse's schema to the newest revision, all of it or nothing."""

from pathlib import Path

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import Limits, sqlalchemy_url

FOLDER = Path(__file__).parent
LIMITS = Limits(statement_s=0, lock_s=30, idle_s=0)  # a revision may rewrite a table
LOCK = 7_405_002  # advisory lock: two migrations at once wait for each other


def migrate(dsn_owner: str, to: str = "head") -> str:
    """Run outstanding revisions as the owner role, as far as `to`; return the newest revision of this code.

    Raises:
        RetryableError: the database cannot be reached.
        PermanentError: a revision failed (nothing of it stays), or the database is newer than this code.
    """
    import psycopg
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine, exc, text
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(
        sqlalchemy_url(dsn_owner, "okr-migrate", limits=LIMITS), poolclass=NullPool,
    )  # fmt: skip
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except exc.OperationalError as error:
        raise RetryableError(f"The warehouse could not be migrated: {error.orig}. Is the stack up?") from error
    except (exc.DBAPIError, psycopg.Error) as error:
        cause = getattr(error, "orig", error)
        raise PermanentError(f"A migration failed and was rolled back: {cause}.") from error
    except CommandError as error:
        raise PermanentError(
            f"The database's revision is not one of this code's ({error}). Is the clone older?"
        ) from error
    return str(ScriptDirectory.from_config(config).get_current_head())
