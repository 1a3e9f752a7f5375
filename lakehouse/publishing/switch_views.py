"""Switch the published views to a version: attach its partitions and update the views.

`lakehouse/publishing/publication.py` calls this in the transaction that makes the version current.
"""

from typing import TYPE_CHECKING, Any

from lakehouse.publishing import changed_columns
from lakehouse.publishing import views as published_views

if TYPE_CHECKING:
    from psycopg import Connection


def switch_to(connection: "Connection[Any]", publication_id: int) -> None:
    """Make the views show a version. Readers see it once `views.commit` has returned.

    Raises:
        RetryableError: a mart was removed or its columns changed, and its view was in use for the whole waiting time.
        PermanentError: another view depends on such a mart.
    """
    built, stored = published_views.built(connection, publication_id), published_views.stored(connection)
    present = {mart for mart, version in published_views.attached(connection, built) if version == publication_id}
    # An attached version always has the columns of the partitioned table. When those change, a copy is attached.
    changed = {m: built[m] for m in built.keys() & stored.keys() - present if built[m] != stored[m]}
    changed_columns.prepare(connection, changed, publication_id)
    for mart in sorted(built.keys() - present):
        published_views.prepare_partition(connection, mart, publication_id)
        if mart not in stored:
            published_views.create_store(connection, mart, built[mart])
        store = mart.store(changed_columns.suffix(publication_id) if mart in changed else "")
        published_views.attach(connection, store, mart.partition(publication_id), publication_id)
    known = published_views.views(connection)
    for mart in sorted(built.keys() - known - changed.keys()):
        published_views.create_view(connection, mart, stored.get(mart, built[mart]))
    changed_columns.replace(connection, changed, known - built.keys(), publication_id)
    published_views.copy_comments(connection, publication_id)
    published_views.record_switch(connection, publication_id)
