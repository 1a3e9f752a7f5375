"""Delete stored API requests after the retention. The state tables keep the ids of check-ins permanently."""

from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

RETENTION_DAYS = 90


def delete_expired_requests(settings: Settings) -> int:
    """Delete requests older than `RETENTION_DAYS` days, unless their persisted event is not in the state tables yet.

    Return the number of deleted requests.

    Raises:
        RetryableError: the database cannot be reached.
    """
    with connect(settings.require("dsn_loader"), application="okr-maintenance") as connection:
        return sum(
            connection.execute(read_sql("ingestion.maintenance", name), {"days": RETENTION_DAYS}).rowcount
            for name in ("delete_expired_requests", "delete_expired_writes")
        )
