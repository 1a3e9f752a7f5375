"""One query returns why publications are on hold: since when, and because of which gate, rule, run or rollback."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from expectations.gate_decision import GateReport, RuleResult, SuiteResult
from expectations.gate_results import save
from lakehouse import step_failure
from lakehouse.publishing import publication
from lakehouse.publishing.commands import app
from lakehouse.publishing.hold_reasons import Hold, holds
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.lakehouse.marts import publish

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
PLAUSIBLE = RuleResult(
    "progress_is_plausible", "progress stays within 100 times the gain", passed=False, unexpected=7,
    examples=("kr-1: 9000", "kr-2: -8"), acceptable=True,
)  # fmt: skip
UNIQUE = RuleResult("ids_are_unique", "each id occurs once", passed=False, error="relation does not exist")
ADVICE = RuleResult("drift", "values look as before", passed=False, advice=True)


def report(minute: int, *broken: RuleResult, gate: str = "raw", run_id: str = "", accepted: bool = False) -> GateReport:
    suite = SuiteResult("check_in", "check_in", 10, (RuleResult("fine", "it is", passed=True), ADVICE, *broken))
    return GateReport(gate, run_id or f"run-{minute}", NOON + timedelta(minutes=minute), (suite,), accepted=accepted)


def holds_after(settings: Settings, *reports: GateReport) -> list[Hold]:
    for one in reports:
        save(settings.require("dsn_transform"), one)
    return holds(settings.require("dsn_serving"))


def test_a_failed_gate_is_reported_with_its_rules_run_and_start(fresh_database: Settings) -> None:
    found = holds_after(fresh_database, report(0), report(1, PLAUSIBLE), report(2, UNIQUE, PLAUSIBLE))
    assert found == [
        Hold(
            held_since=NOON + timedelta(minutes=1), kind="gate", gate="raw", rule="check_in.ids_are_unique",
            rules=["check_in.ids_are_unique", "check_in.progress_is_plausible"], run_id="run-2", publication_id=None,
            runs_held=2, newest_at=NOON + timedelta(minutes=2),
            reason="gate raw: check_in: ids_are_unique could not be checked: relation does not exist (and 1 more)",
        )
    ]  # fmt: skip
    assert "kr-1: 9000" in holds_after(fresh_database, report(3), report(4, PLAUSIBLE))[0].reason


def test_the_hold_ends_when_the_gate_passes_or_an_operator_accepts(fresh_database: Settings) -> None:
    assert not holds_after(fresh_database, report(1, PLAUSIBLE), report(2, PLAUSIBLE, accepted=True))
    assert [hold.rules for hold in holds_after(fresh_database, report(3, PLAUSIBLE, UNIQUE, accepted=True))] == [
        ["check_in.ids_are_unique"]
    ]


def test_gates_hold_independently_and_a_manual_gate_neither_holds_nor_releases(fresh_database: Settings) -> None:
    found = holds_after(
        fresh_database,
        report(1, PLAUSIBLE),
        report(2, run_id="manual-1"),
        report(3, UNIQUE, gate="marts"),
        report(4, UNIQUE, gate="published"),
    )
    assert [(hold.gate, hold.run_id) for hold in found] == [("raw", "run-1"), ("marts", "run-3")]


def test_a_gate_that_checked_nothing_says_so(fresh_database: Settings) -> None:
    empty = GateReport("marts", "run-1", NOON, ())
    assert "checked nothing" in holds_after(fresh_database, empty)[0].reason


def failed(run_id: str, step: str, at: datetime) -> step_failure.StepFailure:
    return step_failure.StepFailure("okr_etl_dag", run_id, step, at, "why")


def test_a_gate_failure_of_a_second_build_is_reported_once_with_its_run(fresh_database: Settings) -> None:
    step_failure.record(fresh_database.require("dsn_transform"), failed("run-1", "gate_marts", NOON))
    found = holds_after(
        fresh_database, *(report(0, UNIQUE, gate="marts", run_id=build) for build in ("run-1", "run-1~2"))
    )
    assert [(hold.kind, hold.run_id, hold.runs_held) for hold in found] == [("gate", "run-1", 1)]


def test_a_publication_of_a_second_build_has_the_id_of_its_run(warehouse: Settings) -> None:
    publish(warehouse, 1)
    dsn = warehouse.require("dsn_transform")
    with connect(dsn) as connection:
        connection.execute("UPDATE ops.publication SET dbt_run_id = 'run-1~2'")
        assert connection.execute("SELECT dbt_run_id FROM marts.publication").fetchone() == ("run-1",)
    publish(warehouse, 2)
    publication.rollback(dsn)
    publication.resume(dsn)
    with connect(dsn) as connection:
        connection.execute("UPDATE ops.publication SET resumed_at = NULL, dbt_run_id = 'run-2~3' WHERE NOT is_current")
    assert [hold.run_id for hold in holds(dsn)] == ["run-2"]


def test_failures_before_a_resume_do_not_hold_publications(published_twice: Settings) -> None:
    dsn = published_twice.require("dsn_transform")
    step_failure.record(dsn, failed("run-3", "dbt", datetime.now(UTC)))
    assert [hold.kind for hold in holds(dsn)] == ["step"]
    publication.rollback(dsn)
    publication.resume(dsn)
    assert holds(dsn) == []
    step_failure.record(dsn, failed("run-4", "dbt", datetime.now(UTC)))
    step_failure.record(dsn, failed("run-4", "load", datetime.now(UTC)))
    assert [(hold.kind, hold.run_id, hold.runs_held) for hold in holds(dsn)] == [("step", "run-4", 1)]


def test_a_publication_deletes_the_failures_of_steps_before_it(warehouse: Settings) -> None:
    """The callback that would delete one may have been killed."""
    dsn = warehouse.require("dsn_transform")
    for step in ("gate_raw", "document"):
        step_failure.record(dsn, failed("run-1", step, datetime.now(UTC)))
    step_failure.record(dsn, step_failure.StepFailure("okr_training_dag", "run-1", "train", NOON, "why"))
    publish(warehouse, 1)
    kept = [
        (each.pipeline, each.step)
        for dag in ("okr_etl_dag", "okr_training_dag")
        for each in step_failure.failures_of_run(dsn, dag, "run-1")
    ]
    assert kept == [("okr_etl_dag", "document"), ("okr_training_dag", "train")]


def test_a_rollback_holds_until_resume(published_twice: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = published_twice.require("dsn_transform")
    publication.rollback(dsn)
    (hold,) = holds(published_twice.require("dsn_serving"))
    assert (hold.kind, hold.publication_id, hold.run_id) == ("rollback", 2, "run-2")
    for setting in ("dsn_serving", "dsn_transform"):
        monkeypatch.setenv(f"OKR_{setting.upper()}", published_twice.require(setting))
    for command in ("current", "list"):
        shown = CliRunner().invoke(app, ["publication", command])
        assert "okr publication resume" in shown.output, shown
    publication.resume(dsn)
    assert not holds(published_twice.require("dsn_serving"))


@pytest.fixture
def published_twice(warehouse: Settings) -> Settings:
    publish(warehouse, 1), publish(warehouse, 2)
    return warehouse
