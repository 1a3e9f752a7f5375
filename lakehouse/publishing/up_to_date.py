"""Check whether the current publication was built from the current inputs, apart from the log (`build_inputs.sql`)."""

from lakehouse.publishing.carry_over import inputs
from lakehouse.warehouse import connect


def is_up_to_date(dsn: str, project: str) -> bool:
    """Return whether the current publication was built from this dbt project and all other current inputs.

    `project` is the hash of the dbt project. The result is true before the first publication. The inputs of a build are
    recorded when it starts, so its publication does not include decisions made during the build. A publication from an
    earlier release that did not record inputs counts as outdated.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-publication") as connection:
        published = connection.execute("SELECT inputs FROM ops.publication WHERE is_current").fetchone()
        return published is None or published[0] == inputs(connection, project)
