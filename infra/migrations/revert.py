"""Revert revisions of the warehouse's schema, in one transaction."""

from infra.migrations.migrate import LIMITS
from infra.migrations.revisions import can_be_reverted, current_revision, outstanding, scripts
from infra.migrations.transactions import transaction
from lakehouse.errors import PermanentError


def revert(dsn_owner: str, to: str) -> str:
    """Revert all revisions after `to`, newest first, and return the database's revision.

    Raises:
        RetryableError: the database cannot be reached, or a table remained locked for too long.
        PermanentError: a revision cannot be reverted, or is unknown. Nothing was changed.
    """
    from alembic import command

    if to not in {script.revision for script in scripts().walk_revisions()}:
        raise PermanentError(f"There is no revision {to}. Expected one such as {scripts().get_current_head()}.")
    with transaction(dsn_owner, LIMITS) as (connection, config):
        current = current_revision(connection)
        later = {script.revision for script in outstanding(current)}
        reverted = [script for script in outstanding(to) if script.revision not in later]
        for script in reversed(reverted):
            if not can_be_reverted(script):
                raise PermanentError(
                    f"Revision {script.revision} cannot be reverted, so nothing was changed. Restore a backup from "
                    "before this revision, or migrate forward."
                )
        if reverted:
            command.downgrade(config, to)
            return to
    return current or "none"
