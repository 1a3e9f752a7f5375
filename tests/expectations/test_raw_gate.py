"""Each rule of the raw gate fails if and only if its fault is planted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from expectations.gate_decision import GateReport
from expectations.gx_runner import validate
from expectations.raw_gate import checked_columns
from expectations.suites import event
from lakehouse.lake import landing_schema
from lakehouse.settings import Settings
from lakehouse.warehouse import read_sql

Validate = Callable[..., GateReport]


@pytest.fixture
def validate_batch(batch: Any, fresh_database: Settings) -> Validate:
    """Validate rows as the gate validates a topic's waiting batch."""

    def run(*rows: dict[str, Any], topic: str = "okr_user_events", accepted: bool = False) -> GateReport:
        frame = checked_columns(batch(*rows), topic, fresh_database.require("dsn_transform"))
        return validate("raw", "test", [event.suite(topic, frame)], accepted=accepted)

    return run


def broken(report: GateReport) -> set[str]:
    return {rule.name for _, rule in report.broken()}


def test_a_good_batch_passes_and_says_how_much_it_checked(validate_batch: Validate, kr: Any, ci: Any) -> None:
    report = validate_batch(kr(), ci(5.0), ci(7.0))
    assert report.passed
    assert (report.checked_rows, report.expectations, report.failed) == (3, 11, 0)
    assert "Checked 3 rows against 11 expectations" in report.summary()


def test_a_good_event_without_its_id_is_caught(validate_batch: Validate, kr: Any, ci: Any) -> None:
    report = validate_batch(kr(), ci() | {"event_id": None, "occurred_at": None})
    assert broken(report) == {"is_complete"}
    assert "event_id, occurred_at" in report.summary()


def test_an_unknown_event_type_is_caught(validate_batch: Validate, kr: Any) -> None:
    assert broken(validate_batch(kr(), kr() | {"event_type": "okr.mood.felt.v1"})) == {"type_is_known"}


def test_an_event_type_of_another_topic_is_caught(validate_batch: Validate, kr: Any) -> None:
    assert broken(validate_batch(kr(), topic="okr_system_metrics")) == {"type_is_known"}


def test_an_event_from_the_future_is_caught(validate_batch: Validate, kr: Any, ci: Any, now: Any) -> None:
    assert broken(validate_batch(kr(), ci() | {"occurred_at": now + timedelta(minutes=11)})) == {"not_from_the_future"}


def test_an_event_recorded_after_it_was_logged_is_caught(validate_batch: Validate, kr: Any, ci: Any, now: Any) -> None:
    late = ci() | {"recorded_at": now + timedelta(seconds=1)}
    assert broken(validate_batch(kr(), late)) == {"not_recorded_after_logged"}


def test_implausible_check_ins_are_flagged_and_pass(validate_batch: Validate, kr: Any, ci: Any) -> None:
    # In real data, 7 of 3,137 check-ins of browser_interop exceed 100 times a small gain; the whole batch was stopped.
    report = validate_batch(kr(), *[ci(1e12)] * 7, *[ci()] * 100)
    assert report.passed
    assert not report.failed
    assert [rule.name for _, rule in report.flagged()] == ["progress_is_plausible"]
    assert "flagged for review, okr_user_events: progress_is_plausible" in report.summary()
    assert "7 rows fail, e.g. 100000000000.0" in report.summary()


def test_a_wrong_unit_fails_the_batch(validate_batch: Validate, kr: Any, ci: Any) -> None:
    report = validate_batch(kr(), *[ci(1e12)] * 21, *[ci()] * 79)
    assert broken(report) == {"progress_is_plausible"}
    assert "21 rows fail" in report.summary()
    assert validate_batch(kr(), *[ci(1e12)] * 20, *[ci()] * 80).passed


def test_a_share_of_few_rows_is_not_checked(validate_batch: Validate, kr: Any, ci: Any) -> None:
    # databrickslabs/dqx #610 requests the same: a share and a minimum number, below which rows are flagged one by one.
    assert validate_batch(kr(), *[ci(1e12)] * 49).passed
    assert broken(validate_batch(kr(), *[ci(1e12)] * 50)) == {"progress_is_plausible"}


def test_a_falling_metric_is_measured_by_its_targeted_gain(validate_batch: Validate, kr: Any, ci: Any) -> None:
    assert validate_batch(kr(baseline=1000.0, target=10.0), *[ci(20.0)] * 5).passed


def test_values_are_measured_by_loaded_definitions(validate_batch: Validate, ci: Any, load_key_result: Any) -> None:
    load_key_result("kr-1", baseline=0.0, target=1e-3)
    assert broken(validate_batch(*[ci(5.0)] * 50)) == {"progress_is_plausible"}


def test_many_check_ins_of_unknown_key_results_fail_the_batch(validate_batch: Validate, kr: Any, ci: Any) -> None:
    strangers = [ci(5.0, key_result_id="unknown")] * 30
    assert broken(validate_batch(kr(), *[ci()] * 90, *strangers)) == {"key_results_are_known"}
    report = validate_batch(kr(), *[ci()] * 90, *strangers[:20])
    assert report.passed
    assert [rule.name for _, rule in report.flagged()] == ["key_results_are_known"]


def test_many_rejected_messages_fail_the_batch(validate_batch: Validate, kr: Any, ci: Any, rejected: Any) -> None:
    assert validate_batch(kr(), *[ci()] * 79, *[rejected()] * 20).passed
    assert validate_batch(kr(), ci(), *[rejected()] * 40).passed
    report = validate_batch(kr(), *[ci()] * 78, *[rejected("not_json")] * 21)
    assert broken(report) == {"few_rejects"}
    assert "not_json" in report.summary()


def test_implausible_years_are_flagged(validate_batch: Validate, kr: Any, ci: Any, now: Any) -> None:
    old = ci() | {"occurred_at": now.replace(year=1971)}
    report = validate_batch(kr(), *[old] * 3)
    assert report.passed
    assert [rule.name for _, rule in report.flagged()] == ["years_are_plausible"]
    assert broken(validate_batch(kr(), *[old] * 60)) == {"years_are_plausible"}


def test_ratios_beyond_one_are_flagged(validate_batch: Validate) -> None:
    sample = {
        "event_type": "okr.host_metric.sampled.v1",
        "data": {"metric": "cpu_busy", "unit": "ratio", "value": 250.0},
    }
    report = validate_batch(*[sample] * 3, topic="okr_system_metrics")
    assert report.passed
    assert [rule.name for _, rule in report.flagged()] == ["ratios_are_ratios"]
    assert broken(validate_batch(*[sample] * 50, topic="okr_system_metrics")) == {"ratios_are_ratios"}


def test_forecasts_with_low_above_high_are_flagged(validate_batch: Validate) -> None:
    served = {"event_type": "okr.prediction.served.v1", "data": {"low": 0.9, "high": 0.1}}
    assert [rule.name for _, rule in validate_batch(*[served] * 3, topic="okr_ai_predictions").flagged()] == [
        "intervals_are_ordered"
    ]
    by_any_model = {"event_type": "okr.prediction.served.v2", "data": {"output": served["data"]}}
    for each in (served, by_any_model):
        assert broken(validate_batch(*[each] * 50, topic="okr_ai_predictions")) == {"intervals_are_ordered"}


def test_an_operator_may_accept_implausible_rows_but_not_wrong_ones(validate_batch: Validate, kr: Any, ci: Any) -> None:
    absurd = [ci(1e12)] * 60
    report = validate_batch(kr(), *absurd, accepted=True)
    assert report.passed
    assert report.failed == 1
    assert "an operator accepted it" in report.summary()
    assert not validate_batch(kr(), *absurd, ci() | {"event_id": None}, accepted=True).passed


def test_a_gate_that_checks_no_rows_fails(batch: Callable[..., pa.Table], fresh_database: Settings) -> None:
    frame = checked_columns(batch(), "okr_user_events", fresh_database.require("dsn_transform"))
    report = validate("raw", "test", [event.suite("okr_user_events", frame)])
    assert not report.passed
    assert not validate("raw", "test", []).passed
    assert "checks no rows does not pass" in validate("raw", "test", []).summary()


def test_a_rule_that_cannot_be_checked_fails(batch: Callable[..., pa.Table], kr: Any, fresh_database: Settings) -> None:
    frame = checked_columns(batch(kr()), "okr_user_events", fresh_database.require("dsn_transform"))
    report = validate(
        "raw", "test", [event.suite("okr_user_events", frame.drop(columns=["occurred_year"]).assign(occurred_year="x"))]
    )
    assert not report.passed
    assert "could not be checked" in report.summary()


def test_a_backfill_is_validated_without_comparing_rows_pairwise() -> None:
    """With a condition besides the id, DuckDB compared all events of a subject: 38 s of CPU for 1.3 M rows."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("waiting", landing_schema().empty_table())
        connection.execute("CREATE TABLE known (key_result_id varchar, baseline double, target double)")
        query = f"EXPLAIN {read_sql('expectations', 'waiting_batch')}"
        ((_, plan),) = connection.execute(query, [["okr.check_in.recorded.v1"]]).fetchall()
    assert "HASH_JOIN" in plan
    assert "NL_JOIN" not in plan
    assert "NESTED_LOOP" not in plan
