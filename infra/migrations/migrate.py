"""`okr migrate`: migrates the warehouse's schema to the newest revision, in one transaction."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.connection_limits import Limits
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import sqlalchemy_url

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

FOLDER = Path(__file__).parent
VERSION_TABLE = "schema_version"
LIMITS = Limits(statement_s=0, lock_s=30, idle_s=0)  # a revision may rewrite a table
ADVISORY_LOCK_ID = 7_405_002  # prevents two migrations from running at the same time


def migrate(dsn_owner: str, to: str = "head", *, before: Callable[[], None] | None = None) -> str:
    """Run outstanding revisions up to `to` as the owner role; return the newest revision in this code.

    If any revision is outstanding, `before` is called first.

    Raises:
        RetryableError: the database cannot be reached.
        PermanentError: a revision failed and was rolled back, or the database is newer than this code.
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
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK_ID})
            config.attributes["connection"] = connection
            if before is not None and _is_outdated(connection, ScriptDirectory.from_config(config)):
                before()
            command.upgrade(config, to)
    except exc.OperationalError as error:
        raise RetryableError(f"The warehouse could not be migrated: {error.orig}. Is the stack up?") from error
    except (exc.DBAPIError, psycopg.Error) as error:
        cause = getattr(error, "orig", error)
        raise PermanentError(f"A migration failed and was rolled back: {cause}.") from error
    except CommandError as error:
        raise PermanentError(
            f"This code does not know the database's revision ({error}). Is the clone older than the database?"
        ) from error
    return str(ScriptDirectory.from_config(config).get_current_head())


def _is_outdated(connection: "Connection", scripts: "ScriptDirectory") -> bool:
    """Return whether revisions are outstanding; false if the database is newer than this code."""
    from alembic.runtime.migration import MigrationContext

    revision = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    older = [each.revision for each in scripts.walk_revisions()][1:]  # newest first
    return revision is None or revision in older
