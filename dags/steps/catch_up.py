"""Find unpublished events, operators' decisions and changes to the dbt project that no run is about to publish.

Airflow drops the asset events of a paused DAG (apache/airflow #38891, #49857) and may ignore the newest ones if the DAG
is limited to one active run (#56050). A run may load data and then fail. Decisions and changes to the dbt project
are not announced at all. Therefore this module compares the actual state with the expected one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dags.steps.dbt_docs import fingerprint
from dags.steps.dbt_manifest import PROJECT
from dags.steps.task_adapter import is_paused, report_rows, say, skip, step, unfinished_runs
from lakehouse.settings import Settings, load_settings

ETL_DAG = "okr_etl_dag"
TOPIC = "okr_user_events"  # data in other topics waits for the next run
PAUSE_AFTER_FAILURE = timedelta(minutes=10)  # an immediate retry would probably also fail


@step
def start_catch_up_run() -> int:
    """Return the number of landed rows that are not published; the task's outlet then starts okr_etl_dag.

    Raises:
        AirflowSkipException: nothing is unpublished, a run is in progress, okr_etl_dag is paused, an
            operator has rolled back, or a run has failed within the last ten minutes.
    """
    from lakehouse import pipeline_pause
    from lakehouse.publishing.hold_reasons import holds

    settings = load_settings()
    dsn = settings.require("dsn_transform")
    rows, changes = unpublished_rows(settings), unpublished_changes(settings)
    unpublished = " and ".join(filter(None, [f"{rows} landed rows" if rows else "", changes]))
    is_paused_with_work = bool(unpublished) and is_paused(ETL_DAG)
    pipeline_pause.record(dsn, ETL_DAG, unpublished if is_paused_with_work else None)
    if not unpublished:
        skip("Everything is published.")
    if is_paused_with_work:
        skip(f"okr_etl_dag is paused; unpublished: {unpublished}. Once it is unpaused, a run starts within a minute.")
    if unfinished_runs(ETL_DAG):
        skip("A run of okr_etl_dag is queued or running.")
    for hold in holds(dsn):
        if hold.kind == "rollback" or datetime.now(UTC) - hold.newest_at < PAUSE_AFTER_FAILURE:
            skip(f"okr_etl_dag was not started. {hold}")
    report_rows(rows)
    say(f"Unpublished: {unpublished}. No run is queued or running, so okr_etl_dag is started.")
    return rows


def unpublished_rows(settings: Settings) -> int:
    """Count the landed user events, including rejected ones, that the current publication does not cover.

    Raises:
        RetryableError: the lake or the warehouse cannot be reached.
    """
    from ingestion.loading import backlog_rows

    return backlog_rows(settings, TOPIC, _published_offsets(settings))


def unpublished_changes(settings: Settings) -> str | None:
    """Describe the decisions and model changes that the current publication lacks (`build_inputs.sql`), or return None.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    from lakehouse.quarantine import pending_decisions

    if _is_up_to_date(settings):
        return None
    decisions = len(pending_decisions(settings.require("dsn_transform")))
    return f"{decisions} decisions on events" if decisions else "changes to models, schema, raw or decisions"


def is_published(settings: Settings, end_offsets: Mapping[str, Mapping[int, int]]) -> bool:
    """Return whether the current publication covers the user events up to the offsets that a gate checked.

    It must also include all decisions on individual events and must have been built from the current dbt project.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    published = _published_offsets(settings)
    is_covered = all(end <= published.get(partition, 0) for partition, end in end_offsets.get(TOPIC, {}).items())
    return is_covered and _is_up_to_date(settings)


def _is_up_to_date(settings: Settings) -> bool:
    from lakehouse.publishing.up_to_date import is_up_to_date

    return is_up_to_date(settings.require("dsn_transform"), fingerprint(PROJECT))


def _published_offsets(settings: Settings) -> dict[int, int]:
    from lakehouse.publishing.publication import current

    published = current(settings.require("dsn_transform"))
    covered = published.offsets.get(TOPIC, {}) if published else {}
    return {int(partition): offset for partition, offset in covered.items()}
