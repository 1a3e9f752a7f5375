"""Each rule of the raw gate breaks when its fault is planted, and only then."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from expectations.gate import judge
from expectations.raw import questions
from expectations.report import GateReport
from expectations.suites import event
from lakehouse.settings import Settings

Judge = Callable[..., GateReport]


@pytest.fixture
def judge_batch(batch: Any, fresh_database: Settings) -> Judge:
    """Judge rows as the gate judges a topic's waiting batch."""

    def run(*rows: dict[str, Any], topic: str = "okr_user_events", accepted: bool = False) -> GateReport:
        frame = questions(batch(*rows), topic, fresh_database.require("dsn_transform"))
        return judge("raw", "test", [event.suite(topic, frame)], accepted=accepted)

    return run


def broken(report: GateReport) -> set[str]:
    return {rule.name for _, rule in report.broken()}


def test_a_good_batch_passes_and_says_how_much_it_checked(judge_batch: Judge, kr: Any, ci: Any) -> None:
    report = judge_batch(kr(), ci(5.0), ci(7.0))
    assert report.passed
    assert (report.checked_rows, report.expectations, report.failed) == (3, 11, 0)
    assert "Checked 3 rows by 11 expectations" in report.summary()


def test_a_good_event_without_its_id_is_caught(judge_batch: Judge, kr: Any, ci: Any) -> None:
    report = judge_batch(kr(), ci() | {"event_id": None, "occurred_at": None})
    assert broken(report) == {"is_complete"}
    assert "event_id, occurred_at" in report.summary()


def test_an_unknown_event_type_is_caught(judge_batch: Judge, kr: Any) -> None:
    assert broken(judge_batch(kr(), kr() | {"event_type": "okr.mood.felt.v1"})) == {"type_is_known"}


def test_an_event_type_of_another_topic_is_caught(judge_batch: Judge, kr: Any) -> None:
    assert broken(judge_batch(kr(), topic="okr_system_metrics")) == {"type_is_known"}


def test_an_event_from_the_future_is_caught(judge_batch: Judge, kr: Any, ci: Any, now: Any) -> None:
    assert broken(judge_batch(kr(), ci() | {"occurred_at": now + timedelta(minutes=11)})) == {"not_from_the_future"}


def test_an_event_recorded_after_the_log_had_it_is_caught(judge_batch: Judge, kr: Any, ci: Any, now: Any) -> None:
    late = ci() | {"recorded_at": now + timedelta(seconds=1)}
    assert broken(judge_batch(kr(), late)) == {"not_recorded_after_logged"}


def test_a_slip_or_two_stop_nothing_but_absurd_values_do(judge_batch: Judge, kr: Any, ci: Any) -> None:
    assert judge_batch(kr(), ci(1e12), ci(-1e12)).passed
    report = judge_batch(kr(), *[ci(1e12)] * 3, *[ci()] * 90)
    assert broken(report) == {"progress_is_plausible"}
    assert "3 at fault" in report.summary()


def test_absurd_values_cannot_hide_among_many_good_ones(judge_batch: Judge, kr: Any, ci: Any) -> None:
    assert broken(judge_batch(kr(), *[ci(1e12)] * 5, *[ci()] * 2000)) == {"progress_is_plausible"}


def test_a_falling_metric_is_measured_by_its_own_gain(judge_batch: Judge, kr: Any, ci: Any) -> None:
    assert judge_batch(kr(baseline=1000.0, target=10.0), *[ci(20.0)] * 5).passed


def test_values_are_measured_by_definitions_that_are_loaded_already(
    judge_batch: Judge, ci: Any, load_key_result: Any
) -> None:
    load_key_result("kr-1", baseline=0.0, target=1e-3)
    assert broken(judge_batch(*[ci(5.0)] * 3)) == {"progress_is_plausible"}


def test_check_ins_of_nobody_s_key_results_are_caught(judge_batch: Judge, kr: Any, ci: Any) -> None:
    strangers = [ci(5.0, key_result_id="nobody")] * 10
    assert broken(judge_batch(kr(), *[ci()] * 90, *strangers)) == {"key_results_are_known"}
    assert judge_batch(kr(), *[ci()] * 90, *strangers[:2]).passed


def test_a_flood_of_rejects_is_caught_from_a_hundred_rows_on(
    judge_batch: Judge, kr: Any, ci: Any, rejected: Any
) -> None:
    assert judge_batch(kr(), *[ci()] * 93, *[rejected()] * 5).passed
    assert judge_batch(kr(), ci(), *[rejected()] * 5).passed
    report = judge_batch(kr(), *[ci()] * 93, *[rejected("not_json")] * 6)
    assert broken(report) == {"few_rejects"}
    assert "not_json" in report.summary()


def test_years_nobody_meant_are_caught(judge_batch: Judge, kr: Any, ci: Any, now: Any) -> None:
    old = ci() | {"occurred_at": now.replace(year=1971)}
    assert broken(judge_batch(kr(), *[old] * 3)) == {"years_are_plausible"}


def test_ratios_beyond_one_are_caught(judge_batch: Judge) -> None:
    sample = {
        "event_type": "okr.host_metric.sampled.v1",
        "data": {"metric": "cpu_busy", "unit": "ratio", "value": 250.0},
    }
    assert broken(judge_batch(*[sample] * 3, topic="okr_system_metrics")) == {"ratios_are_ratios"}


def test_forecasts_with_low_above_high_are_caught(judge_batch: Judge) -> None:
    served = {"event_type": "okr.prediction.served.v1", "data": {"low": 0.9, "high": 0.1}}
    assert broken(judge_batch(*[served] * 3, topic="okr_ai_predictions")) == {"intervals_are_ordered"}


def test_an_operator_may_accept_what_is_implausible_but_not_what_is_wrong(judge_batch: Judge, kr: Any, ci: Any) -> None:
    absurd = [ci(1e12)] * 3
    report = judge_batch(kr(), *absurd, accepted=True)
    assert report.passed
    assert report.failed == 1
    assert "an operator accepted it" in report.summary()
    assert not judge_batch(kr(), *absurd, ci() | {"event_id": None}, accepted=True).passed


def test_a_gate_that_checks_nothing_fails(batch: Callable[..., pa.Table], fresh_database: Settings) -> None:
    frame = questions(batch(), "okr_user_events", fresh_database.require("dsn_transform"))
    report = judge("raw", "test", [event.suite("okr_user_events", frame)])
    assert not report.passed
    assert not judge("raw", "test", []).passed
    assert "checks nothing does not pass" in judge("raw", "test", []).summary()


def test_a_rule_that_cannot_be_judged_fails(batch: Callable[..., pa.Table], kr: Any, fresh_database: Settings) -> None:
    frame = questions(batch(kr()), "okr_user_events", fresh_database.require("dsn_transform"))
    report = judge(
        "raw", "test", [event.suite("okr_user_events", frame.drop(columns=["occurred_year"]).assign(occurred_year="x"))]
    )
    assert not report.passed
    assert "could not be judged" in report.summary()
