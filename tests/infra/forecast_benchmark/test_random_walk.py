"""The random walk, compared with the same formulas computed by hand."""

from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist

import pytest

from infra.forecast_benchmark.random_walk import PRIOR_STEPS, fit_random_walk
from ml.feature_rows import Rows, rows_of

START, DAYS = date(2026, 1, 1), 40.0
NAMES = (
    "key_result_in_cycle", "as_of", "as_of_kind", "cycle_start", "progress_ratio", "days_remaining", "final_progress",
)  # fmt: skip


def key_result(name: str, final: float | None, *points: tuple[float, float]) -> list[tuple[object, ...]]:
    """Return the rows of check-ins at (day, progress)."""
    start = datetime(START.year, START.month, START.day, tzinfo=UTC)
    return [
        (name, start + timedelta(days=day), "check_in", START, progress, DAYS - day, final) for day, progress in points
    ]


def past() -> Rows:
    """Three key results, whose median drift is 0.01 a day; their variance rates are 0.001, 0.004 and 0.009."""
    records = key_result("a", 0.4, (10.0, 0.1 + 0.1), (20.0, 0.2 + 0.1 + 0.1))
    records += key_result("b", 0.2, (10.0, 0.1 + 0.2), (20.0, 0.2 + 0.2 + 0.2))
    records += key_result("c", 0.8, (10.0, 0.1 - 0.3), (20.0, 0.2 - 0.3 - 0.3))
    return rows_of(NAMES, records)


def test_drift_and_variance_rate_are_medians_of_the_past() -> None:
    walk = fit_random_walk(past())
    assert walk.drift == pytest.approx(0.01)
    assert walk.rate == pytest.approx(0.004)


def test_a_forecast_uses_the_steps_of_its_key_result_so_far() -> None:
    rows = rows_of(NAMES, [*key_result("x", None, (10.0, 0.1), (20.0, 0.7)), *key_result("y", None, (30.0, 0.3))])
    walk = fit_random_walk(past())
    first = PRIOR_STEPS * 0.004 / (PRIOR_STEPS + 1)
    second = (PRIOR_STEPS * 0.004 + 0.5**2 / 10.0) / (PRIOR_STEPS + 2)
    expected = [
        NormalDist(0.1 + 0.01 * 30, (first * 30) ** 0.5),
        NormalDist(0.7 + 0.01 * 20, (second * 20) ** 0.5),
        NormalDist(0.3 + 0.01 * 10, (first * 10) ** 0.5),
    ]
    assert walk.probabilities(rows) == pytest.approx([1 - each.cdf(0.7) for each in expected])
    low, high = walk.intervals(rows)
    assert low == pytest.approx([min(max(each.inv_cdf(0.05), 0), 1) for each in expected])
    assert high == pytest.approx([min(max(each.inv_cdf(0.95), 0), 1) for each in expected])


def test_without_a_past_the_forecast_is_even_at_the_threshold() -> None:
    rows = rows_of(NAMES, key_result("x", None, (35.0, 0.7)))
    nothing = past().take(past()["as_of_kind"] == "no check-in")
    assert fit_random_walk(nothing).probabilities(rows) == pytest.approx([0.5])
