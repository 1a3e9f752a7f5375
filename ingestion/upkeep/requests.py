"""What the API remembers of requests, deleted after a time; a check-in's id is known for good, by the state tables."""

from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

DAYS_KEPT = 90


def forget_requests(settings: Settings) -> int:
    """Delete requests that are older than `DAYS_KEPT` days and whose events the state tables have; return how many.

    Raises:
        RetryableError: the database cannot be reached.
    """
    with connect(settings.require("dsn_loader"), application="okr-upkeep") as connection:
        return connection.execute(read_sql("ingestion.upkeep", "forget_requests"), {"days": DAYS_KEPT}).rowcount
