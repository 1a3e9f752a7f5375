"""Whether what readers see was built from what there is now beside events: the dbt project and operators' decisions."""

from lakehouse.publishing.carry_over import inputs
from lakehouse.warehouse import connect


def is_up_to_date(dsn: str, project: str) -> bool:
    """Tell whether the current publication is of this dbt project (a hash) and of all decisions; true before the first.

    What it was built from was noted when its build began, so a decision that came while it was built is one that it
    does not follow. A publication of a release that noted nothing follows nothing; the next one does.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-publication") as connection:
        published = connection.execute("SELECT inputs FROM ops.publication WHERE is_current").fetchone()
        return published is None or published[0] == inputs(connection, project)
