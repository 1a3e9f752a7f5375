"""The features in units of noise (ADR 40), compared with computations by hand, and never from the future."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.objective import ObjectiveDefined

Log = Any
Features = dict[tuple[str, datetime], dict[str, Any]]
DAYS = 91
STEP_WEIGHT, CYCLE_WEIGHT, DEFAULT_RATE = 6.0, 1.5, 0.03
FIRST = date(2024, 1, 1)
CYCLES = 8  # two years, so that the last cycles have a season


def first_day(number: int) -> date:
    return FIRST + timedelta(days=DAYS * number)


def at(number: int, day: float) -> datetime:
    return datetime.combine(first_day(number), datetime.min.time(), UTC) + timedelta(days=day)


def define(log: Log, name: str, number: int, **fields: Any) -> None:
    log.key_result(f"{name}-{number}", at=at(number, -1), objective_id=f"objective-{number}", **fields)


def organisation(new_log: Callable[[], Log], cycles: int = CYCLES) -> Log:
    """Two series over eight cycles. `wave` rises by 8 in even cycles and falls by 8 in odd ones."""
    log = new_log()
    log.organisation()
    for number in range(cycles):
        start, end = first_day(number), first_day(number + 1) - timedelta(days=1)
        cycle = CycleDefined(
            cycle_id=f"cycle-{number}", organisation_id="org", name=f"C{number}", starts_on=start, ends_on=end
        )
        log.add(cycle, at(number, -2))
        log.add(
            ObjectiveDefined(objective_id=f"objective-{number}", team_id="team", cycle_id=cycle.cycle_id, title="Grow"),
            at(number, -2),
        )
        low, high = (0.0, 8.0) if number % 2 == 0 else (8.0, 0.0)
        define(log, "wave", number, title=f"Raise it to {low + 10.0:.1f}", baseline=low, target=low + 10.0)
        define(log, "flat", number, title="Raise the other one to 15", baseline=5.0, target=15.0)
        for day in (20, 40, 60):
            log.check_in(f"wave-{number}", low + (high - low) * day / DAYS, at(number, day))
            log.check_in(f"flat-{number}", 5.0, at(number, day + 1))
        if number < cycles - 1:
            log.check_in(f"wave-{number}", high, at(number, 90.5), is_final=True)
            log.check_in(f"flat-{number}", 5.0, at(number, 90.6), is_final=True)
    log.check_in("flat-7", 5.0, at(7, 70))
    return log


def build(dbt: Any, log: Log) -> Features:
    log.load(dbt.settings)
    dbt.run("run", "--select", "+path:models/ml")
    rows = dbt.rows("select * from ml_build.key_result_features where as_of_kind = 'check_in'")
    return {(row["key_result_id"], row["as_of"]): row for row in rows}


@pytest.fixture(scope="module")
def features(dbt: Any, new_log: Callable[[], Log]) -> Features:
    return build(dbt, organisation(new_log))


def test_without_history_the_noise_is_the_default(features: Features) -> None:
    row = features["wave-0", at(0, 20)]
    step = 8.0 * 20 / DAYS
    step_rate = (STEP_WEIGHT * DEFAULT_RATE + (step / 10) ** 2 / 20) / (STEP_WEIGHT + 1)
    share = (DAYS - 20) / DAYS
    rate = math.exp(share * math.log(DEFAULT_RATE) + (1 - share) * math.log(step_rate))
    assert row["noise_ratio"] == pytest.approx(math.sqrt(rate * (DAYS - 20)))
    assert (row["reversion_ratio"], row["season_ratio"]) == (0.0, 0.0)


def test_the_noise_is_that_of_earlier_cycles_of_the_series(features: Features) -> None:
    """Both series have the same targeted gain, and the organisation is the same, so that only the series differ."""
    wave, flat = (features[f"{name}-6", at(6, day)]["noise_ratio"] for name, day in (("wave", 60), ("flat", 61)))
    assert wave > 1.5 * flat


def test_a_series_reverts_to_its_mean_in_earlier_cycles(features: Features) -> None:
    row = features["wave-6", at(6, 20)]
    points = []
    for number in range(6):
        low, high = (0.0, 8.0) if number % 2 == 0 else (8.0, 0.0)
        points += [low, high, *(low + (high - low) * day / DAYS for day in (20, 40, 60))]
    expected = (sum(points) / len(points) - 8.0 * 20 / DAYS) / 10 * 6 / (6 + 2) * (DAYS - 20) / DAYS
    assert row["reversion_ratio"] == pytest.approx(expected)


def test_the_season_is_the_change_between_the_same_dates_of_the_year_before(features: Features) -> None:
    row = features["wave-7", at(7, 40)]  # 365.25 days before: day 39.75 of cycle 3, until 0.25 days before its end
    low, high = 8.0, 0.0
    before = low + (high - low) * 39.75 / DAYS
    at_60 = low + (high - low) * 60 / DAYS
    end = at_60 + (high - at_60) * (90.75 - 60) / 31
    assert row["season_ratio"] == pytest.approx((end - before) / 10 / 1.5)


def test_the_peers_are_the_other_key_results_of_the_last_two_weeks(features: Features) -> None:
    """`wave` never moves for others before its own first check-in, and its own movement never counts."""
    assert features["wave-0", at(0, 20)]["peer_drift"] == 0.0
    wave, flat = features["wave-0", at(0, 20)], features["flat-0", at(0, 21)]
    movement = 8.0 / DAYS * (DAYS - 20) / 10 / wave["noise_ratio"] * 20 / 27
    assert flat["peer_drift"] == pytest.approx(min(movement, 3.0) / 5)
    assert features["flat-7", at(7, 70)]["peer_drift"] != 0.0
    assert features["wave-0", at(0, 40)]["peer_drift"] == 0.0, "the movement of `flat` 19 days before no longer counts"


def test_the_numbers_of_the_targets_do_not_separate_cycles_of_a_series(dbt: Any, features: Features) -> None:
    rows = dbt.rows("select series_id, count(*) as cycles from int_key_result_series group by 1 order by 2")
    assert [row["cycles"] for row in rows] == [CYCLES, CYCLES]


def test_events_after_a_row_was_known_never_change_it(dbt: Any, new_log: Callable[[], Log], features: Features) -> None:
    """Later cycles, check-ins, a corrected closing and a new title of an earlier cycle's key result are added."""
    log = organisation(new_log, cycles=CYCLES + 1)
    late = at(CYCLES, 30)
    log.check_in("wave-5", 3.0, at(5, 90.5), is_final=True, log={"logged_at": late})
    log.key_result("wave-4", at=late, objective_id="objective-4", title="Another one", baseline=0.0, target=20.0)
    later = build(dbt, log)
    names = ("noise_ratio", "reversion_ratio", "season_ratio", "peer_drift")
    for key, row in features.items():
        assert {name: later[key][name] for name in names} == {name: row[name] for name in names}, key
