"""The revisions in this code, and which of them a database has."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import PermanentError

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import Connection

FOLDER = Path(__file__).parent
VERSION_TABLE = "schema_version"


def scripts() -> "ScriptDirectory":
    """Return the revisions in this code."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(FOLDER))


def current_revision(connection: "Connection") -> str | None:
    """Return the newest revision that the database has, or None if it has none."""
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    revision: str | None = context.get_current_revision()
    return revision


def outstanding(revision: str | None) -> "list[Script]":
    """Return the revisions after `revision`, oldest first; None stands for an empty database.

    Raises:
        PermanentError: this code does not know the revision.
    """
    newest_first = list(scripts().walk_revisions())
    if revision is None:
        return newest_first[::-1]
    known = [script.revision for script in newest_first]
    if revision not in known:
        raise unknown(revision)
    return newest_first[: known.index(revision)][::-1]


def unknown(revision: object) -> PermanentError:
    """Return the error for a revision that is not in this code."""
    return PermanentError(
        f"This code does not know the database's revision ({revision}). Is the clone older than the database?"
    )


def is_contract(script: "Script") -> bool:
    """Return whether a revision removes what the previous release uses. Its module then sets `contract = True`."""
    return bool(getattr(script.module, "contract", False))


def can_be_reverted(script: "Script") -> bool:
    """Return whether a revision has a `downgrade`."""
    return hasattr(script.module, "downgrade")


def expanding(revisions: "Sequence[Script]") -> "list[Script]":
    """Return the revisions before the first one that contracts.

    Raises:
        PermanentError: a revision that contracts stands before one that expands.
    """
    for number, script in enumerate(revisions):
        if is_contract(script):
            later = [each.revision for each in revisions[number:] if not is_contract(each)]
            if later:
                raise PermanentError(
                    f"Revision {script.revision} contracts the schema and stands before revision {later[0]}. Run "
                    "`okr deploy contract` with the release that is serving, then deploy again."
                )
            return list(revisions[:number])
    return list(revisions)
