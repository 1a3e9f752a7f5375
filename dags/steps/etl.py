"""The steps of okr_etl_dag. Heavy packages are imported inside: DAG files are parsed often, some must not be forked."""

from collections.abc import Mapping
from typing import Any

from dags.steps.edge import is_set, report_rows, run_id, say, skip, started_by_asset, step
from lakehouse.settings import load_settings

Offsets = dict[str, dict[str, int]]  # topic -> partition -> next offset; keys are text, for an XCom is JSON

ANNOUNCED_TOPIC = "okr_user_events"


@step
def gate_raw() -> Offsets:
    """Judge what waits in the lake and return up to where it was judged.

    Raises:
        AirflowFailException: the batch must not be loaded.
        AirflowSkipException: there is nothing to do, and the run ends here.
    """
    from expectations.raw import judge_waiting, require_passed

    verdict = judge_waiting(load_settings(), run_id(), accepted=is_set("accept_raw_batch"))
    report_rows(verdict.report.checked_rows)
    say(verdict.report.summary())
    require_passed(verdict.report)
    if not any(verdict.upto.values()):
        skip("Nothing has ever landed: produce events first (`okr produce --help`).")
    if started_by_asset() and not verdict.waiting[ANNOUNCED_TOPIC]:
        skip("What was announced is loaded already, by the run before.")
    return {topic: {str(p): offset for p, offset in offsets.items()} for topic, offsets in verdict.upto.items()}


@step
def load(upto: Offsets) -> dict[str, int]:
    """Load exactly what was judged from the lake into raw; return the rows loaded by topic."""
    from ingestion import loading

    loaded = loading.load(load_settings(), upto)
    report_rows(sum(loaded.values()))
    return loaded


@step
def prepare_build() -> None:
    """Empty the schemas that dbt builds into."""
    from lakehouse.publication import prepare_build as prepare

    prepare(load_settings().require("dsn_transform"), run_id())


@step
def gate_marts() -> dict[str, Any]:
    """Judge the built marts and return the gate's report, which the publication keeps.

    Raises:
        AirflowFailException: the marts must not be published.
    """
    from expectations.marts import judge_build, require_passed

    # Who accepted a batch as it is has accepted what its values do to the marts.
    accepted = is_set("accept_marts_build") or is_set("accept_raw_batch")
    report = judge_build(load_settings(), run_id(), accepted=accepted)
    report_rows(report.checked_rows)
    say(report.summary())
    require_passed(report)
    return report.as_dict()


@step
def publish(gate: Mapping[str, Any]) -> int:
    """Swap the judged marts in, in one transaction; return the publication's id."""
    from dags.steps.champion import champion_version
    from lakehouse import publication

    settings = load_settings()

    published = publication.publish(
        settings.require("dsn_transform"), dbt_run_id=run_id(), gate=gate, model_version=champion_version(settings)
    )
    say(f"Publication {published.publication_id}: data as of {published.data_as_of:%Y-%m-%d %H:%M:%S} UTC.")
    return published.publication_id
