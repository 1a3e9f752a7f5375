"""The interval and the probability come from one distribution, so they never contradict each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.score_interval import INTERVAL_LEVEL, fit_scale_factor, interval, intervals

LOG_ODDS = st.floats(-40, 40) | st.floats(-4, 4)
SCALE = st.floats(1e-6, 1e6) | st.floats(0.01, 1)


def share_between(low: float, high: float, log_odds: float, scale: float) -> float:
    """P(low <= final score <= high). Scores beyond 0 and 1 count as 0 and 1."""

    def at_least(score: float) -> float:
        return 1.0 / (1.0 + math.exp(min(max((score - 0.7) / scale - log_odds, -700.0), 700.0)))

    return (1.0 if low <= 0.0 else at_least(low)) - (0.0 if high >= 1.0 else at_least(high))


@given(log_odds=LOG_ODDS, scale=SCALE)
def test_the_interval_contains_90_percent_of_the_distribution(log_odds: float, scale: float) -> None:
    low, high = interval(log_odds, scale)
    assert 0.0 <= low <= high <= 1.0
    if low < high:  # otherwise nine tenths of the distribution are at 0, at 1 or within the rounding of one number
        assert share_between(low, high, log_odds, scale) >= INTERVAL_LEVEL - 1e-6


@given(log_odds=LOG_ODDS, scale=SCALE)
def test_the_interval_never_contradicts_the_probability(log_odds: float, scale: float) -> None:
    low, high = interval(log_odds, scale)
    probability = 1.0 / (1.0 + math.exp(-log_odds))
    if low > 0.7:
        assert probability >= INTERVAL_LEVEL - 1e-9
    if high < 0.7:
        assert probability <= 1.0 - INTERVAL_LEVEL + 1e-9


@given(log_odds=LOG_ODDS, scale=st.floats(0.01, 1), step=st.floats(-1, 1))
def test_no_other_interval_with_the_same_share_is_shorter(log_odds: float, scale: float, step: float) -> None:
    low, high = interval(log_odds, scale)
    shorter = 0.98 * (high - low)
    other = min(max(low + step, 0.0), 1.0 - shorter)
    if high - low > 0.01:
        assert share_between(other, other + shorter, log_odds, scale) < INTERVAL_LEVEL


@given(st.lists(st.tuples(LOG_ODDS, SCALE), min_size=1, max_size=20))
def test_one_row_alone_has_the_same_interval_as_in_a_batch(rows: list[tuple[float, float]]) -> None:
    low, high = intervals(*(np.array(column) for column in zip(*rows, strict=True)))
    assert list(zip(low, high, strict=True)) == [interval(*row) for row in rows]


@pytest.mark.parametrize(
    ("log_odds", "scale", "expected"),
    [
        (-2.0, 0.05, (0.4528, 0.7472)),  # in the middle
        (1.0, 0.1, (0.5803, 1.0)),  # up to 1, because values beyond it count as 1
        (-5.0, 0.2, (0.0, 0.1394)),  # from 0
        (9.0, 0.1, (1.0, 1.0)),  # almost certainly 1
    ],
)
def test_intervals_are_the_shortest_within_0_and_1(
    log_odds: float, scale: float, expected: tuple[float, float]
) -> None:
    assert interval(log_odds, scale) == pytest.approx(expected, abs=5e-5)


def past_cycle(factor: float, seed: int = 0, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts and final scores, which are distributed with the scale times a factor."""
    random = np.random.default_rng(seed)
    log_odds, scale = random.normal(0.0, 2.0, rows), random.uniform(0.2, 0.6, rows)
    drawn = random.logistic(0.7 + log_odds * scale * factor, scale * factor)
    return log_odds, scale, np.clip(drawn, 0.0, 1.0)


def test_the_factor_of_the_scale_is_found_in_past_cycles() -> None:
    assert fit_scale_factor([]) == 1.0
    for factor in (0.3, 1.0):
        assert fit_scale_factor([past_cycle(factor, seed) for seed in range(8)]) == pytest.approx(factor, rel=0.12)
    once, often = (fit_scale_factor([past_cycle(0.2)] * cycles) for cycles in (1, 8))
    assert often <= once < 1.0


def test_with_the_fitted_factor_90_percent_of_the_scores_are_inside_the_intervals() -> None:
    cycles = [past_cycle(0.3, seed) for seed in range(8)]
    factor = fit_scale_factor(cycles)
    log_odds, scale, scores = past_cycle(0.3, seed=99, rows=4_000)
    low, high = intervals(log_odds, factor * scale)
    assert ((low <= scores) & (scores <= high)).mean() > 0.88
    narrow_low, narrow_high = intervals(log_odds, scale * factor / 3)
    assert ((narrow_low <= scores) & (scores <= narrow_high)).mean() < 0.8
