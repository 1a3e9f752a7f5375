"""The steps of upkeep_dag."""

from dags.steps.edge import say, skip, step
from lakehouse.settings import load_settings


@step
def keep_lake() -> None:
    """Join small files, shorten the log, delete what is old.

    Raises:
        AirflowSkipException: another upkeep is at work, or nothing has landed yet.
    """
    from ingestion.upkeep import upkeep
    from ingestion.upkeep.report import as_lines

    tables = upkeep(load_settings())
    if not tables:
        skip("Another upkeep is at work." if tables is None else "Nothing has landed yet.")
    say(as_lines(tables))


@step
def forget_requests() -> None:
    """Delete what the API remembers of requests that are older than the retention."""
    from ingestion.upkeep.requests import DAYS_KEPT, forget_requests

    say(f"{forget_requests(load_settings())} requests older than {DAYS_KEPT} days are forgotten.")
