"""The feature mart: what was known at a time, and nothing later."""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveArchived, ObjectiveDefined

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)  # of the running cycle, exclusive
CYCLE_DAYS = 90.0
LOG_END = START + timedelta(days=40)


def day(days: float) -> datetime:
    return START + timedelta(days=days)


def make_log(
    new_log: Callable[[], Any], until: datetime = LOG_END, *, extra: Callable[[Any], None] | None = None
) -> Any:
    """A log up to a given time: steady, late and corrected check-ins, a new target, one without check-ins."""
    log = new_log()
    log.organisation()
    log.key_result("steady")
    for week in (1, 2, 3, 4, 5):
        log.check_in("steady", 7.0 * week, day(7 * week), confidence=0.5 + week / 20)
    log.key_result("late")
    log.check_in("late", 5.0, day(5))
    log.check_in("late", 10.0, day(10), log={"logged_at": day(20)})
    log.check_in("late", 15.0, day(15))
    log.key_result("corrected")
    log.check_in("corrected", 90.0, day(6), check_in_id="typo")
    log.check_in("corrected", 12.0, day(13))
    log.check_in("corrected", 9.0, day(6), check_in_id="typo", log={"logged_at": day(14)})
    log.check_in("corrected", 20.0, day(21))
    log.key_result("retargeted")
    log.check_in("retargeted", 10.0, day(8))
    log.key_result("retargeted", at=day(12), target=50.0)
    log.check_in("retargeted", 20.0, day(16))
    log.key_result("silent")
    log.add(ObjectiveDefined(objective_id="moving", team_id="team", cycle_id="running", title="Move"), START)
    log.key_result("moved", objective_id="moving")
    log.check_in("moved", 10.0, day(9))
    log.key_result("end", at=day(0))
    if extra is not None:
        extra(log)
    log.check_in("end", 1.0, LOG_END - timedelta(seconds=1))
    known = new_log()
    known.merge([event for event in log.events if event.recorded_at <= until])
    return known


def build(dbt: Any, log: Any) -> dict[tuple[str, datetime], dict[str, Any]]:
    log.load(dbt.settings)
    dbt.run("run", "--select", "+path:models/ml")
    rows = dbt.rows("select * from ml_build.key_result_features")
    return {(row["key_result_id"], row["as_of"]): row for row in rows}


@pytest.fixture(scope="module")
def features(dbt: Any, new_log: Callable[[], Any]) -> dict[tuple[str, datetime], dict[str, Any]]:
    return build(dbt, make_log(new_log))


def signed_log(pace: float) -> float:
    return math.asinh(pace / 0.1)


def test_a_steady_key_result_has_the_pace_of_its_check_ins(features: Any) -> None:
    row = features["steady", day(28)]
    required = signed_log((0.7 - 0.28) / 62 * CYCLE_DAYS)
    assert row["progress_ratio"] == pytest.approx(0.28)
    assert row["elapsed_ratio"] == pytest.approx(28 / 89)
    assert row["days_remaining"] == pytest.approx(62)
    assert row["remaining_ratio"] == pytest.approx(62 / 90)
    assert row["weeks_between_check_ins"] == pytest.approx(1)
    assert row["check_ins"] == 4
    assert row["confidence"] == pytest.approx(0.7)
    assert row["log_required_pace"] == pytest.approx(required)
    for column in ("7d", "14d", "28d", "cycle", "trend"):
        assert row[f"log_pace_ratio_{column}"] == pytest.approx(signed_log(0.01 * CYCLE_DAYS) - required)


def test_values_between_two_check_ins_are_interpolated_linearly(features: Any) -> None:
    row = features["retargeted", day(16)]
    # 7 days before day 16 it was at 10 + (20 - 10) / 8 = 11.25, of a target of 50 by then.
    pace = (20.0 - 11.25) / 50.0 / 7 * CYCLE_DAYS
    assert row["log_pace_ratio_7d"] + row["log_required_pace"] == pytest.approx(signed_log(pace))


def test_features_use_the_target_valid_at_the_time(features: Any) -> None:
    assert features["retargeted", day(8)]["target"] == 100.0
    assert features["retargeted", day(16)]["target"] == 50.0
    assert features["retargeted", day(16)]["progress_ratio"] == pytest.approx(0.4)


def test_a_check_in_recorded_late_counts_only_from_its_recording(features: Any) -> None:
    at_15 = features["late", day(15)]
    assert at_15["check_ins"] == 2
    assert at_15["weeks_between_check_ins"] == pytest.approx(10 / 7)
    assert features["late", day(10)]["known_at"] == day(20)


def test_a_correction_counts_only_from_when_it_was_recorded(features: Any) -> None:
    assert features["corrected", day(6)]["value"] == 90.0
    falling = features["corrected", day(13)]
    assert falling["log_pace_ratio_7d"] + falling["log_required_pace"] < 0
    assert features["corrected", day(21)]["log_pace_ratio_14d"] == pytest.approx(
        signed_log((20.0 - (9.0 + 3.0 / 7)) / 100 / 14 * CYCLE_DAYS)
        - features["corrected", day(21)]["log_required_pace"]
    )


def test_an_open_key_result_has_a_current_row_based_on_its_last_check_in(features: Any) -> None:
    current, last = features["steady", LOG_END], features["steady", day(35)]
    assert (current["as_of_kind"], last["as_of_kind"]) == ("current", "check_in")
    assert current["days_since_check_in"] == pytest.approx(5)
    assert current["days_remaining"] == pytest.approx(50)
    assert current["log_pace_ratio_7d"] == last["log_pace_ratio_7d"]
    assert features["silent", LOG_END]["check_ins"] == 0


def test_a_truncated_log_gives_the_same_earlier_rows(dbt: Any, features: Any, new_log: Callable[[], Any]) -> None:
    cut = day(18)
    before = build(dbt, make_log(new_log, until=cut))
    check_ins = {key: row for key, row in before.items() if row["as_of_kind"] == "check_in"}
    assert check_ins == {
        key: row for key, row in features.items() if row["as_of_kind"] == "check_in" and row["known_at"] <= cut
    }
    assert len(check_ins) == 9
    assert any(row["as_of_kind"] == "current" for row in before.values())


def test_later_events_change_no_earlier_row(dbt: Any, features: Any, new_log: Callable[[], Any]) -> None:
    def later(log: Any) -> None:
        log.check_in("steady", 99.0, day(30), log={"logged_at": day(39)})  # planted between known ones
        log.check_in("late", 77.0, day(38), is_final=True)
        log.key_result("successor", cycle="future", at=day(39), baseline=77.0, target=150.0)
        dates = {"starts_on": date(2026, 1, 3), "ends_on": date(2026, 6, 30)}
        log.add(CycleDefined(cycle_id="running", organisation_id="org", name="LONGER", **dates), day(38))
        log.add(ObjectiveDefined(objective_id="moving", team_id="other", cycle_id="future", title="Moved"), day(38))

    after = build(dbt, make_log(new_log, extra=later))
    for key, row in features.items():
        if row["as_of_kind"] == "check_in" and row["known_at"] < day(38):
            assert after[key] == row
    assert after["steady", LOG_END]["cycle_end"] == date(2026, 6, 30)
    assert ("moved", LOG_END) not in after  # its cycle has not started
    assert "successor" not in {key_result_id for key_result_id, _ in after}
    outcomes = dbt.rows("select * from ml_build.key_result_outcome")
    assert [(row["key_result_id"], row["final_score"], row["is_achieved"]) for row in outcomes] == [
        ("late", 0.77, True)
    ]
    assert ("late", LOG_END) not in after


def test_a_key_result_is_used_from_the_day_after_its_cycle_starts(dbt: Any, new_log: Callable[[], Any]) -> None:
    log = new_log()
    log.organisation()
    log.key_result("early")
    log.check_in("early", 1.0, day(0.5))
    assert build(dbt, log) == {}
    log.key_result("other", at=day(1.5))
    rows = build(dbt, log)
    assert rows["early", day(0.5)]["known_at"] == day(1)


def test_a_key_result_that_is_carried_over_has_rows_and_an_outcome_in_each_cycle(
    dbt: Any, new_log: Callable[[], Any]
) -> None:
    log = new_log()
    log.organisation()
    log.key_result("carried", "past")
    log.check_in("carried", 40.0, day(-40))
    log.check_in("carried", 80.0, day(0.2), is_final=True)
    log.key_result("carried", "running", at=day(1.1), target=160.0)
    log.check_in("carried", 90.0, day(20), confidence=0.4)
    log.key_result("end", at=day(0))
    log.check_in("end", 1.0, LOG_END)
    rows = build(dbt, log)
    placed = {as_of: (row["cycle_id"], row["as_of_kind"]) for (name, as_of), row in rows.items() if name == "carried"}
    end = max(placed)
    assert placed == {
        day(-40): ("past", "check_in"),
        day(20): ("running", "check_in"),
        end: ("running", "current"),
    }
    assert rows["carried", day(-40)]["target"] == 100.0
    assert rows["carried", end]["target"] == 160.0
    outcomes = dbt.rows("select key_result_id, cycle_id, final_score from ml_build.key_result_outcome")
    assert outcomes == [{"key_result_id": "carried", "cycle_id": "past", "final_score": pytest.approx(0.8)}]


def test_archived_and_ended_key_results_have_no_forecast_and_no_outcome(dbt: Any, new_log: Callable[[], Any]) -> None:
    log = new_log()
    log.organisation()
    log.add(ObjectiveDefined(objective_id="given-up", team_id="team", cycle_id="running", title="Give up"), day(-5))
    for name, fields in (
        ("open", {"cycle": "running"}),
        ("archived", {"cycle": "running"}),
        ("given-up", {"objective_id": "given-up"}),
        ("over", {"cycle": "past"}),
        ("taken-back", {"cycle": "past"}),
    ):
        log.key_result(name, at=day(-80), **fields)
        log.check_in(name, 10.0, day(-10 if fields.get("cycle") == "past" else 10))
    log.check_in("taken-back", 90.0, day(-1), is_final=True)
    log.add(KeyResultArchived(key_result_id="archived"), day(20))
    log.add(ObjectiveArchived(objective_id="given-up"), day(20))
    log.add(KeyResultArchived(key_result_id="taken-back"), day(-2))
    log.key_result("end", at=day(0))
    log.check_in("end", 1.0, LOG_END)
    rows = build(dbt, log)
    assert {name for (name, _), row in rows.items() if row["as_of_kind"] == "current"} == {"open", "end"}
    assert {name for name, _ in rows} >= {"archived", "given-up", "over"}  # earlier rows stay
    assert dbt.rows("select * from ml_build.key_result_outcome") == []


def test_a_key_result_with_many_check_ins_is_read_once(dbt: Any, new_log: Callable[[], Any]) -> None:
    """No step of the plan handles as many rows as there are pairs of check-ins, including late and corrected ones."""
    count, step = 1200, timedelta(hours=1)
    log = new_log()
    log.organisation()
    log.key_result("busy")
    for number in range(count):
        log.check_in("busy", number / 20, day(0) + number * step, confidence=0.5 if number % 3 else None)
    log.check_in("busy", 50.0, day(20.01), log={"logged_at": day(49)})
    log.check_in("busy", 20.0, day(30), check_in_id=f"busy@{day(30):%m-%dT%H:%M}", log={"logged_at": day(30.2)})
    log.key_result("end", at=day(0))
    log.check_in("end", 1.0, day(60))
    rows = build(dbt, log)
    assert len(rows) == count + 4
    last = rows["busy", day(0) + (count - 1) * step]
    assert last["check_ins"] == count + 1
    assert last["log_pace_ratio_7d"] + last["log_required_pace"] == pytest.approx(signed_log(0.012 * CYCLE_DAYS))
    compiled = Path(dbt.target) / "compiled" / "okr_lakehouse" / "models"
    for model in ("intermediate/key_result/int_key_result_as_of", "ml/key_result/key_result_features"):
        query = (compiled / f"{model}.sql").read_text(encoding="utf-8").replace("%", "%%")
        (plan,) = dbt.rows(f"explain (analyze, format json) {query}")
        assert max(handled(plan["QUERY PLAN"][0]["Plan"])) < 20 * count, model


def handled(plan: dict[str, Any]) -> Iterator[float]:
    """Yield how many rows each node of a plan returned and discarded."""
    rows = sum(value for name, value in plan.items() if name == "Actual Rows" or name.startswith("Rows Removed"))
    yield rows * plan["Actual Loops"]
    for child in plan.get("Plans", ()):
        yield from handled(child)
