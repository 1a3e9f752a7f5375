"""The steps of okr_etl_dag. Large packages are imported inside functions, because DAG files are parsed often."""

from collections.abc import Mapping
from typing import Any

from dags.steps.build_lock import published_gate_report
from dags.steps.catch_up import ETL_DAG, TOPIC, is_published
from dags.steps.dbt_manifest import PROJECT
from dags.steps.task_adapter import (
    finish_and_skip,
    is_param_set,
    report_rows,
    run_id,
    say,
    skip,
    started_by_asset,
    step,
)
from lakehouse.settings import Settings, load_settings

# If more rows than both limits have newly landed, they are a backfill. The share is relative to the rows up to the
# checked offsets.
MIN_BACKFILL_ROWS = 1_000
MIN_BACKFILL_SHARE = 0.02
Offsets = dict[str, dict[str, int]]  # topic -> partition -> next offset; partitions are text, because an XCom is JSON


@step
def gate_raw() -> Offsets:
    """Validate the batch that is waiting in the lake; return the offsets up to which rows were checked.

    If the batch fails but data that was loaded earlier is still unpublished, the run continues with that data.

    Raises:
        AirflowFailException: the batch must not be loaded.
        AirflowSkipException: there is nothing to do; the run ends here.
    """
    from expectations.raw_gate import require_passed, validate_waiting
    from lakehouse import step_failure

    settings = load_settings()
    result = validate_waiting(settings, run_id(), accepted=is_param_set("accept_raw_batch"))
    report_rows(result.report.checked_rows)
    say(result.report.summary())
    if not result.report.passed and (loaded := unpublished_load(settings)):
        say("The batch is not loaded. Previously loaded data is still unpublished and is being built now.")
        return loaded
    require_passed(result.report)
    if not any(result.end_offsets.values()):
        skip("Nothing has ever landed: produce events first (`okr produce --help`).")
    if started_by_asset() and is_published(settings, result.end_offsets):
        step_failure.delete_for_pipeline(settings.require("dsn_transform"), pipeline=ETL_DAG)
        skip("The previous run has already published the announced events.")
    return _partitions_as_text(result.end_offsets)


def unpublished_load(settings: Settings) -> Offsets | None:
    """Return the offsets of loaded user events, or None if the current publication is up to date and covers them.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    from ingestion.loading import loaded_offsets

    loaded = {TOPIC: loaded_offsets(settings, TOPIC)}
    return None if not loaded[TOPIC] or is_published(settings, loaded) else _partitions_as_text(loaded)


def _partitions_as_text(offsets: Mapping[str, Mapping[int, int]]) -> Offsets:
    return {topic: {str(p): offset for p, offset in by_partition.items()} for topic, by_partition in offsets.items()}


@step
def load(end_offsets: Offsets) -> dict[str, int]:
    """Load exactly the checked part of the lake into raw; return the number of loaded rows by topic.

    Raises:
        AirflowSkipException: a backfill is landing, and has already started the next run, which will build instead.
    """
    from ingestion import loading

    settings = load_settings()
    loaded = loading.load(settings, end_offsets)
    report_rows(sum(loaded.values()))
    if started_by_asset() and not raw_gate_failed(settings) and (not_loaded := backfill_rows(settings, end_offsets)):
        skip(f"Loaded. {not_loaded} more rows have landed as part of a backfill. The next run loads them and builds.")
    return loaded


def raw_gate_failed(settings: Settings) -> bool:
    """Return whether the newest batch failed the raw gate, so that it will not be loaded.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    from lakehouse.publishing.hold_reasons import holds

    return any(hold.gate == "raw" for hold in holds(settings.require("dsn_transform")))


def backfill_rows(settings: Settings, end_offsets: Offsets) -> int:
    """Return the number of user events that have landed after `end_offsets` if they are part of a backfill, else 0.

    Building marts from part of a backfill would only delay the complete marts. New events count as a backfill if they
    exceed a certain share of the events up to `end_offsets`, so publishing waits only while events arrive that fast.

    Raises:
        RetryableError: the lake cannot be read.
    """
    from ingestion.loading import backlog_rows

    covered = {int(partition): offset for partition, offset in end_offsets.get(TOPIC, {}).items()}
    newer = backlog_rows(settings, TOPIC, covered)
    return newer if newer > max(MIN_BACKFILL_ROWS, MIN_BACKFILL_SHARE * sum(covered.values())) else 0


@step
def gate_marts(build_id: str) -> dict[str, Any]:
    """Validate the built marts; return the gate report, which is stored with the publication.

    If an earlier try has already published this build, the stored report is returned.

    Raises:
        AirflowFailException: the marts must not be published.
    """
    from expectations.marts_gate import require_passed, validate_build

    settings = load_settings()
    if (published := published_gate_report(settings, build_id)) is not None:
        say("This build has already been published; its stored report is returned.")
        return published
    # Accepting a batch includes accepting its effect on the marts.
    accepted = is_param_set("accept_marts_build") or is_param_set("accept_raw_batch")
    report = validate_build(settings, build_id, accepted=accepted)
    report_rows(report.checked_rows)
    say(report.summary())
    require_passed(report)
    return report.as_dict()


@step
def publish(gate: Mapping[str, Any]) -> int:
    """Publish the validated marts in one transaction; return the publication's id, which is the same for every try.

    The champion is looked up after that, because MLflow takes a quarter of a second to check the password.

    Raises:
        DownstreamTasksSkipped: the marts are published, and `document` is skipped because the dbt docs are up to date.
    """
    from dags.steps.dbt_docs import is_current
    from lakehouse.publishing import publication
    from ml.champion import champion_version

    settings = load_settings()
    dsn = settings.require("dsn_transform")
    published = publication.publish(dsn, gate=gate, model_version=None)
    say(f"Publication {published.publication_id}: data as of {published.data_as_of:%Y-%m-%d %H:%M:%S} UTC.")
    publication.record_model_version(dsn, published.publication_id, champion_version(settings, query_server=True))
    if is_current(PROJECT, settings.sites_dir.absolute() / "catalog"):
        finish_and_skip("document", result=published.publication_id)
    return published.publication_id
