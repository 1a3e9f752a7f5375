"""Each rule of the marts gate and each constraint fails when its fault is planted into a real build."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from expectations import marts_gate
from expectations.commands import app
from expectations.gate_decision import GateReport
from expectations.gx_runner import TableLocation, validate
from expectations.rules import Suite
from ingestion.loading.direct import copy_events
from lakehouse.errors import GateFailed, PermanentError
from lakehouse.publishing.publication import publish
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.expectations.conftest import dbt_build, simulated_log
from tests.publications import publish_build

Copy = Callable[[], AbstractContextManager[Settings]]

A_CHECK_IN = "(SELECT min(check_in_id) FROM fct_check_in WHERE is_key_result_known)"
LATER = "UPDATE key_result_features SET as_of = as_of"
A_KEY_RESULT = "(SELECT min(key_result_id) FROM mart_okr_scorecard WHERE is_closed)"
PUBLISHED = (
    "INSERT INTO ops.publication (data_as_of, offsets, dbt_run_id, gate, rows, is_current) "
    "VALUES ({as_of}, '{{}}', 'x', '{{}}', '{rows}', true)"
)
DIMENSIONS = {"user": "dim_user", "team": "dim_team", "cycle": "dim_cycle", "objective": "dim_objective",
              "key_result": "dim_key_result"}  # fmt: skip

# What breaks each rule: suite and rule -> SQL in the build's schemas, without constraints.
FAULTS = {
    ("whole_build", "covers_what_is_loaded"): "UPDATE int_data_as_of SET data_as_of = data_as_of - interval '1 second'",
    ("whole_build", "not_older_than_published"): PUBLISHED.format(as_of="now() + interval '9 years'", rows="{}"),
    ("whole_build", "no_mart_shrinks"): PUBLISHED.format(as_of="'2020-01-01Z'", rows='{"dim_user": 9999}'),
    ("check_in", "every_check_in_arrived"): f"DELETE FROM fct_check_in WHERE check_in_id = {A_CHECK_IN}",
    ("check_in", "key_result_exists"): f"UPDATE fct_check_in SET key_result_id = 'x' WHERE check_in_id = {A_CHECK_IN}",
    ("check_in", "new_progress_is_plausible"): "UPDATE fct_check_in SET progress_ratio = -101",
    ("check_in", "few_orphans"): "UPDATE fct_check_in SET is_key_result_known = false",
    ("reviewed_event", "withheld_check_ins_do_not_count"):
        "INSERT INTO fct_reviewed_event SELECT gen_random_uuid(), 'manual', 'r', 't', 's', now(), now(), "
        "kafka_partition, kafka_offset, NULL, NULL, NULL, NULL, true FROM fct_check_in LIMIT 1",
    ("key_result_daily", "key_result_exists"): "UPDATE fct_key_result_daily SET key_result_id = key_result_id || 'x'",
    ("key_result_daily", "every_day_has_its_row"): "DELETE FROM fct_key_result_daily WHERE extract(day FROM day) = 15",
    ("key_result_daily", "nothing_after_the_data"): "UPDATE fct_key_result_daily SET day = day + 9999",
    ("okr_scorecard", "one_row_per_key_result"): f"DELETE FROM mart_okr_scorecard WHERE key_result_id = {A_KEY_RESULT}",
    ("okr_scorecard", "closed_by_a_check_in"): f"DELETE FROM fct_check_in WHERE key_result_id = {A_KEY_RESULT}",
    ("team_scorecard", "key_results_add_up"): "UPDATE mart_team_scorecard SET key_result_count = 0",
    ("organisation_scorecard", "key_results_add_up"): "UPDATE mart_organisation_scorecard SET key_result_count = 0",
    ("checkin_hygiene", "team_exists"): "UPDATE mart_checkin_hygiene SET team_id = 'unknown'",
    ("user_activity", "check_ins_add_up"): "UPDATE fct_user_activity_daily SET check_in_count = check_in_count + 1",
    ("user_activity", "views_add_up"): "UPDATE fct_user_activity_daily SET page_view_count = page_view_count + 1",
    ("host_metric", "samples_add_up"): "UPDATE fct_system_health_hourly SET sample_count = sample_count + 1",
    ("pipeline_step", "every_run_arrived"): "DELETE FROM fct_pipeline_run",
    ("alert", "every_alert_arrived"): "DELETE FROM fct_alert",
    ("prediction", "every_prediction_arrived"): "DELETE FROM fct_prediction",
    ("key_result_features", "nothing_after_the_data"): f"{LATER} + interval '9 years'",
    ("key_result_features", "nothing_after_the_outcome"): "UPDATE int_key_result_cycle SET final_at = '2000-01-01Z'",
    ("key_result_features", "key_result_exists"): "UPDATE key_result_features SET key_result_id = key_result_id || 'x'",
    ("key_result_outcome", "only_closed_have_an_outcome"): "DELETE FROM key_result_outcome",
    ("prediction", "key_result_exists"): "UPDATE fct_prediction SET is_key_result_known = NOT is_key_result_known",
}  # fmt: skip
for _name, _table in DIMENSIONS.items():
    FAULTS[_name, f"every_{_name}_arrived"] = f"DELETE FROM {_table} WHERE is_current"
    FAULTS[_name, "one_version_is_current"] = f"UPDATE {_table} SET is_current = false"
    FAULTS[_name, "versions_are_contiguous"] = f"UPDATE {_table} SET valid_to = valid_from"

FAULTS_OF_PUBLICATIONS = [("whole_build", "not_older_than_published"), ("whole_build", "no_mart_shrinks")]
PLANTED = "planted"
CHANGED_TABLE = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")

# What one row or key can break is a constraint of its model's contract: constraint -> SQL that breaks it.
CONTRACT_FAULTS = {
    "fct_check_in_pkey": "INSERT INTO fct_check_in SELECT * FROM fct_check_in LIMIT 1",
    "fct_check_in_pace_ratio_check": f"UPDATE fct_check_in SET pace_ratio = 'NaN' WHERE check_in_id = {A_CHECK_IN}",
    "fct_check_in_confidence_check": f"UPDATE fct_check_in SET confidence = 2 WHERE check_in_id = {A_CHECK_IN}",
    "dim_key_result_target_differs_from_baseline": "UPDATE dim_key_result SET target = baseline",
    "fct_key_result_daily_pkey": "INSERT INTO fct_key_result_daily TABLE fct_key_result_daily",
    "fct_key_result_daily_score_ratio_check": "UPDATE fct_key_result_daily SET score_ratio = 1.1",
    "mart_okr_scorecard_score_ratio_check": "UPDATE mart_okr_scorecard SET score_ratio = -0.1",
    "mart_okr_scorecard_achieved_fits_final_score": "UPDATE mart_okr_scorecard SET is_achieved = NOT is_achieved",
    "mart_team_scorecard_attainment_ratio_check": "UPDATE mart_team_scorecard SET attainment_ratio = 1.5",
    "mart_team_scorecard_calibration_key_result_count_check":
        "UPDATE mart_team_scorecard SET overconfidence_ratio = 0, calibration_key_result_count = 4",
    "mart_organisation_scorecard_statuses_add_up": "UPDATE mart_organisation_scorecard SET missed_count = 99",
    "mart_checkin_hygiene_check_in_coverage_ratio_check":
        "UPDATE mart_checkin_hygiene SET check_in_coverage_ratio = 2",
    "fct_system_health_hourly_values_are_ordered": "UPDATE fct_system_health_hourly SET min_value = max_value + 1",
    "fct_pipeline_run_state_fits_steps": "UPDATE fct_pipeline_run SET failed_step_count = failed_step_count + 1",
    "fct_alert_state_fits_end": "UPDATE fct_alert SET resolved_at = NULL WHERE state = 'resolved'",
    "fct_prediction_probability_check": "UPDATE fct_prediction SET probability = 1.01",
    "fct_prediction_scored_before_the_outcome_was_known":
        "UPDATE fct_prediction SET is_scored = true, outcome_known_at = served_at",
    "key_result_features_progress_ratio_check": "UPDATE key_result_features SET progress_ratio = 'Infinity'",
}  # fmt: skip


@pytest.fixture
def build(copy_of_the_build: Copy) -> Iterator[Settings]:
    """A database for this test alone, with raw loaded and the marts built but not published."""
    with copy_of_the_build() as settings:
        yield settings


@pytest.fixture(scope="module")
def shared_build(copy_of_the_build: Copy) -> Iterator[Settings]:
    """Such a database that no test changes."""
    with copy_of_the_build() as settings:
        yield settings


@contextmanager
def schemas_with(settings: Settings, statement: str) -> Iterator[tuple[str, ...]]:
    """Plant a fault in a copy of the table that it changes; yield the schemas, that of the copy first."""
    schemas = (PLANTED, *marts_gate.BUILT)
    changed = CHANGED_TABLE.match(statement)
    assert changed is not None, statement
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(f"SET search_path = {', '.join(schemas)}".encode())
        connection.execute(f"CREATE SCHEMA {PLANTED}".encode())
        connection.execute(f"CREATE TABLE {PLANTED}.{changed[1]} AS TABLE {changed[1]}".encode())
        assert connection.execute(statement.encode()).rowcount > 0, "the fault was not planted"
    yield schemas
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(f"DROP SCHEMA {PLANTED} CASCADE".encode())


def validate_suite(settings: Settings, name: str, schemas: tuple[str, ...] = marts_gate.BUILT) -> GateReport:
    suites: list[Suite] = [suite for suite in marts_gate.suites() if suite.name == name]
    return validate("marts", "test", suites, location=TableLocation(settings.require("dsn_transform"), schemas))


def plant(settings: Settings, statement: str) -> None:
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(f"SET search_path = {', '.join(marts_gate.BUILT)}".encode())
        assert connection.execute(statement.encode()).rowcount > 0, "the fault was not planted"


@pytest.mark.parametrize(("suite", "rule"), [key for key in FAULTS if key not in FAULTS_OF_PUBLICATIONS])
def test_a_rule_breaks_when_its_fault_is_planted(shared_build: Settings, suite: str, rule: str) -> None:
    with schemas_with(shared_build, FAULTS[suite, rule]) as schemas:
        assert_broken(validate_suite(shared_build, suite, schemas), rule)


@pytest.mark.parametrize(("suite", "rule"), FAULTS_OF_PUBLICATIONS)
def test_a_rule_on_the_last_publication_breaks(build: Settings, suite: str, rule: str) -> None:
    plant(build, FAULTS[suite, rule])
    assert_broken(validate_suite(build, suite), rule)


def assert_broken(report: GateReport, rule: str) -> None:
    found = {broken.name: broken for _, broken in report.broken()}
    assert rule in found, report.summary()
    assert found[rule].error is None
    assert found[rule].unexpected


@pytest.mark.parametrize("constraint", CONTRACT_FAULTS)
def test_a_contract_rejects_the_fault_that_its_constraint_names(
    shared_build: Settings, contract_constraints: dict[str, str], constraint: str
) -> None:
    with connect(shared_build.require("dsn_transform")) as connection:  # the error rolls the fault back
        connection.execute(f"SET search_path = {', '.join(marts_gate.BUILT)}".encode())
        assert connection.execute(CONTRACT_FAULTS[constraint].encode()).rowcount > 0, "the fault was not planted"
        with pytest.raises(psycopg.IntegrityError) as broken:
            connection.execute(contract_constraints[constraint].encode())
    assert broken.value.diag.constraint_name == constraint


WITHHELD = """
INSERT INTO raw.okr_user_events
SELECT DISTINCT ON (event_type)
    kafka_partition, (SELECT max(kafka_offset) FROM raw.okr_user_events) + row_number() OVER (), logged_at,
    gen_random_uuid(), event_type, source, subject, occurred_at, recorded_at, recorded_at_assumed,
    data || jsonb_build_object(split_part(event_type, '.', 2) || '_id', 'withheld')
FROM raw.okr_user_events WHERE event_type LIKE 'okr.%.defined.v1' OR event_type = 'okr.check_in.recorded.v1'
"""


def test_withheld_events_do_not_count_as_missing_in_a_mart(build: Settings) -> None:
    with connect(build.require("dsn_loader")) as connection:
        connection.execute(WITHHELD.encode())
    suites_of_entities = {*DIMENSIONS, "check_in"}
    suites = [suite for suite in marts_gate.suites() if suite.name in suites_of_entities]
    place = TableLocation(build.require("dsn_transform"), marts_gate.BUILT)
    missed = {rule.name for _, rule in validate("marts", "test", suites, location=place).broken()}
    assert missed == {f"every_{name}_arrived" for name in suites_of_entities}, "so far they are not withheld"
    plant(
        build,
        "INSERT INTO int_withheld_event SELECT event_id FROM raw.okr_user_events "
        "WHERE 'withheld' = data ->> (split_part(event_type, '.', 2) || '_id')",
    )
    report = validate("marts", "test", suites, location=place)
    assert report.passed, report.summary()


def test_every_rule_has_a_fault_planted_for_it() -> None:
    assert {(suite.name, rule.name) for suite in marts_gate.suites() for rule in suite.rules} == set(FAULTS)


def test_a_good_build_passes_and_the_result_is_stored(build: Settings) -> None:
    report = marts_gate.validate_build(build, "run-1")
    assert report.passed, report.summary()
    assert report.checked_rows > 1000
    assert report.expectations == len(FAULTS) + len(marts_gate.TABLES)
    with connect(build.require("dsn_serving")) as connection:
        stored = connection.execute(
            "SELECT gate, run_id, passed, checked_rows, expectations, failed FROM ops.gate_result"
        )
        assert stored.fetchall() == [("marts", "run-1", True, report.checked_rows, report.expectations, 0)]


def test_a_failing_build_stays_unpublished_and_the_message_says_what_to_do(build: Settings) -> None:
    plant(build, "DELETE FROM mart_okr_scorecard")
    report = marts_gate.validate_build(build, "run-2")
    with pytest.raises(GateFailed, match="okr gate marts"):
        marts_gate.require_passed(report)
    with pytest.raises(PermanentError, match="cannot be published"):
        publish(build.require("dsn_transform"), gate=report.as_dict(), model_version=None)
    with connect(build.require("dsn_serving")) as connection:
        assert connection.execute("SELECT passed, failed > 0 FROM ops.gate_result").fetchall() == [(False, True)]


def test_the_exit_status_of_the_command_says_whether_the_build_passed(
    build: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("expectations.commands.load_settings", lambda: build)
    passed = CliRunner().invoke(app, ["gate", "marts"])
    assert passed.exit_code == 0, passed.output
    plant(build, "DELETE FROM mart_okr_scorecard")
    failed = CliRunner().invoke(app, ["gate", "marts", "--json"])
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["passed"] is False


def test_an_empty_build_does_not_pass(fresh_database: Settings) -> None:
    with connect(fresh_database.require("dsn_transform")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts_build")
        for _, table, _ in marts_gate.TABLES:
            connection.execute(f"CREATE TABLE marts_build.{table} ()")
    report = marts_gate.validate_build(fresh_database, "run-3")
    assert not report.passed
    assert report.checked_rows == 0
    assert "could not be checked" in report.summary()


def test_a_build_in_progress_is_reported_as_such(fresh_database: Settings) -> None:
    """A manual gate run reported every rule of every missing table as one that could not be checked."""
    with connect(fresh_database.require("dsn_transform")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts_build")
        connection.execute("CREATE TABLE marts_build.dim_user ()")
    with pytest.raises(PermanentError, match=r"A run is building the marts.*dim_cycle.*Wait for the run"):
        marts_gate.validate_build(fresh_database, "manual-1")
    with connect(fresh_database.require("dsn_serving")) as connection:
        assert connection.execute("SELECT count(*) FROM ops.gate_result").fetchall() == [(0,)]


def test_the_first_seconds_of_a_backfill_pass(fresh_database: Settings, tmp_path: Path) -> None:
    first_events = simulated_log()[:20]
    assert "okr.key_result.defined.v1" not in {event.envelope.type for event in first_events}
    copy_events(fresh_database, first_events)
    dbt_build(fresh_database, tmp_path)
    report = marts_gate.validate_build(fresh_database, "run-1")
    assert report.passed, report.summary()
    assert report.checked_rows > 0


def test_any_mart_may_be_empty_but_not_the_whole_build() -> None:
    assert {suite.name for suite in marts_gate.suites() if suite.rows_at_least} == {"whole_build"}


def test_without_a_build_the_gate_says_so_and_what_to_do(build: Settings, fresh_database: Settings) -> None:
    with pytest.raises(PermanentError, match=r"no build to check: nothing has been built yet\. `okr dag start okr_etl"):
        marts_gate.validate_build(fresh_database, "manual-1")
    publication_id = publish_build(build).publication_id
    with pytest.raises(
        PermanentError, match=rf"newest build has already been published \(publication {publication_id}\)"
    ):
        marts_gate.validate_build(build, "manual-2")
    with connect(build.require("dsn_serving")) as connection:
        assert connection.execute("SELECT count(*) FROM ops.gate_result").fetchall() == [(0,)]


def test_implausible_progress_can_be_accepted_and_a_lost_check_in_cannot(build: Settings) -> None:
    plant(build, FAULTS["check_in", "new_progress_is_plausible"])
    assert not marts_gate.validate_build(build, "run-4").passed
    assert marts_gate.validate_build(build, "run-4", accepted=True).passed
    plant(build, FAULTS["check_in", "every_check_in_arrived"])
    assert not marts_gate.validate_build(build, "run-4", accepted=True).passed
