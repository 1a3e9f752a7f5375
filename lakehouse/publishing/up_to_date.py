"""Whether the current publication was built from the present dbt project and the present decisions of operators."""

from lakehouse.publishing.carry_over import inputs
from lakehouse.warehouse import connect


def is_up_to_date(dsn: str, project: str) -> bool:
    """Return whether the current publication is of this dbt project (a hash) and all decisions; true before the first.

    The inputs of a build are recorded when it starts, so a publication does not include a decision made during its
    build. A publication by a release that recorded no inputs counts as outdated.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-publication") as connection:
        published = connection.execute("SELECT inputs FROM ops.publication WHERE is_current").fetchone()
        return published is None or published[0] == inputs(connection, project)
