"""The steps of maintenance_dag."""

from dags.steps.task_adapter import say, skip, step
from lakehouse.settings import load_settings


@step
def maintain_lake() -> None:
    """Compact small files, clean up the Delta log, and delete expired files and rows of okr_system_metrics.

    Raises:
        AirflowSkipException: another maintenance run is in progress, or nothing has landed yet.
    """
    from ingestion.maintenance import maintain
    from ingestion.maintenance.report import as_lines

    tables = maintain(load_settings())
    if not tables:
        skip("Another maintenance run is in progress." if tables is None else "Nothing has landed yet.")
    say(as_lines(tables))


@step
def delete_expired_requests() -> None:
    """Delete stored API requests that are older than the retention."""
    from ingestion.maintenance.expired_requests import RETENTION_DAYS, delete_expired_requests

    say(f"{delete_expired_requests(load_settings())} requests older than {RETENTION_DAYS} days have been deleted.")
