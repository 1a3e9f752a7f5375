"""How the views come to show a version: what is attached, made or replaced for it, in the caller's transaction."""

from typing import TYPE_CHECKING, Any

from lakehouse.publishing import changed_columns
from lakehouse.publishing import views as behind

if TYPE_CHECKING:
    from psycopg import Connection


def switch_to(connection: "Connection[Any]", publication_id: int) -> None:
    """Put a version behind the views; readers see it when `views.commit` has returned.

    Raises:
        RetryableError: a mart's columns changed, or it is gone, and its view was in use all the time.
        PermanentError: another view depends on such a mart.
    """
    built, stored = behind.built(connection, publication_id), behind.stored(connection)
    there = {mart for mart, version in behind.attached(connection, built) if version == publication_id}
    # A version that is attached has the columns of what it is attached to, as a copy if need be.
    changed = {m: built[m] for m in built.keys() & stored.keys() - there if built[m] != stored[m]}
    changed_columns.prepare(connection, changed, publication_id)
    for mart in sorted(built.keys() - there):
        behind.add_key(connection, mart, publication_id)
        if mart not in stored:
            behind.create_store(connection, mart, built[mart])
        store = mart.store(changed_columns.suffix(publication_id) if mart in changed else "")
        behind.attach(connection, store, mart.partition(publication_id), publication_id)
    known = behind.views(connection)
    for mart in sorted(built.keys() - known - changed.keys()):
        behind.create_view(connection, mart, stored.get(mart, built[mart]))
    changed_columns.replace(connection, changed, known - built.keys(), publication_id)
    behind.comment(connection, publication_id)
    behind.record_switch(connection, publication_id)
