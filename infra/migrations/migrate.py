"""Migrate the warehouse's schema while no service uses it: all outstanding revisions in one transaction."""

from collections.abc import Callable

from infra.migrations.revisions import current_revision, scripts
from infra.migrations.transactions import transaction
from lakehouse.connection_limits import Limits

LIMITS = Limits(statement_s=0, lock_s=30, idle_s=0)  # a revision may rewrite a table


def migrate(dsn_owner: str, to: str = "head", *, before: Callable[[], None] | None = None) -> str:
    """Run outstanding revisions up to `to` as the owner role; return the newest revision in this code.

    If any revision is outstanding, `before` is called first.

    Raises:
        RetryableError: the database cannot be reached, or a table remained locked for too long.
        PermanentError: a revision failed and was rolled back, or the database is newer than this code.
    """
    from alembic import command

    with transaction(dsn_owner, LIMITS) as (connection, config):
        if before is not None and _is_outdated(current_revision(connection)):
            before()
        command.upgrade(config, to)
    return str(scripts().get_current_head())


def _is_outdated(revision: str | None) -> bool:
    """Return whether revisions are outstanding; false if the database is newer than this code."""
    older = [each.revision for each in scripts().walk_revisions()][1:]  # newest first
    return revision is None or revision in older
