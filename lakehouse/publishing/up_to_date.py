"""Check whether the current publication was built from all present inputs other than the log (`build_inputs.sql`)."""

from lakehouse.publishing.carry_over import inputs
from lakehouse.warehouse import connect


def is_up_to_date(dsn: str, project: str) -> bool:
    """Return whether the current publication was built from this dbt project (a hash), schema, raw and all decisions.

    The result is true before the first publication. The inputs of a build are recorded when it starts, so a publication
    does not include a decision made during its build. A publication whose inputs were not recorded, by an earlier
    release, counts as outdated.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-publication") as connection:
        published = connection.execute("SELECT inputs FROM ops.publication WHERE is_current").fetchone()
        return published is None or published[0] == inputs(connection, project)
