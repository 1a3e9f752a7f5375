"""What has landed or is loaded and yet is not published, and no run is about to: the announcement of it was lost.

Airflow forgets asset events of a paused DAG (apache/airflow #38891, #49857) and may ignore the newest ones where one
run at a time is allowed (#56050); a run may load and then fail. So what is, is compared with what should be.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dags.steps.edge import is_paused, report_rows, say, skip, step, unfinished_runs
from lakehouse.settings import Settings, load_settings

ETL = "okr_etl_dag"
TOPIC = "okr_user_events"  # what the others bring waits for the next run, as when it lands
TRY_AGAIN_AFTER = timedelta(minutes=10)  # a run that failed fails again unless something has changed


@step
def start_what_was_missed() -> int:
    """Let the task's outlet start okr_etl_dag; return how many landed rows are not published.

    Raises:
        AirflowSkipException: nothing is missing, a run is on its way, okr_etl_dag is paused, or publishing is held.
    """
    from lakehouse.publication_hold import holds

    settings = load_settings()
    rows = unpublished_rows(settings)
    if not rows:
        skip("All that has landed is published.")
    if unfinished_runs(ETL):
        skip("A run of okr_etl_dag is on its way.")
    if is_paused(ETL):
        skip(f"{rows} landed rows wait: okr_etl_dag is paused. It is started within a minute of its resumption.")
    for hold in holds(settings.require("dsn_transform")):
        if hold.kind == "rollback" or datetime.now(UTC) - hold.newest_at < TRY_AGAIN_AFTER:
            skip(f"Not started. {hold}")
    report_rows(rows)
    say(f"{rows} landed rows are not published and no run is on its way: okr_etl_dag is started.")
    return rows


def unpublished_rows(settings: Settings) -> int:
    """Return how many landed rows of the user events, rejected ones included, the current publication does not cover.

    Raises:
        RetryableError: lake or warehouse cannot be reached.
    """
    from ingestion.loading import rows_beyond

    return rows_beyond(settings, TOPIC, _published_offsets(settings))


def is_published(settings: Settings, upto: Mapping[str, Mapping[int, int]]) -> bool:
    """Tell whether the current publication covers the user events up to the offsets that a gate has looked at.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    published = _published_offsets(settings)
    return all(end <= published.get(partition, 0) for partition, end in upto.get(TOPIC, {}).items())


def _published_offsets(settings: Settings) -> dict[int, int]:
    from lakehouse.publication import current

    published = current(settings.require("dsn_transform"))
    covered = published.offsets.get(TOPIC, {}) if published else {}
    return {int(partition): offset for partition, offset in covered.items()}
