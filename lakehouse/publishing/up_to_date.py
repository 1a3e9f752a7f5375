"""Check whether the current publication was built from the current inputs (`build_inputs.sql`), except new events."""

from lakehouse.publishing.carry_over import hash_of_inputs
from lakehouse.warehouse import connect


def is_up_to_date(dsn: str, project: str) -> bool:
    """Return whether the current publication was built from this dbt project and all other current inputs.

    `project` is the hash of the dbt project. Before the first publication, the result is true. The inputs of a build
    are recorded when it starts, so a decision made during a build makes its publication outdated. A publication of an
    earlier release, which did not record inputs, is also outdated.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-publication") as connection:
        published = connection.execute("SELECT inputs FROM ops.publication WHERE is_current").fetchone()
        return published is None or published[0] == hash_of_inputs(connection, project)
