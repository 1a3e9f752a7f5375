"""Compute intervals of the final score from the same distribution as its probability, so they never contradict it.

The distribution of the final score is logistic. Its scale is proportional to the noise. The factor is fitted to past
cycles, because the noise contains steady progress, which the pace model foresees. Its location is the one at which the
probability of a score of at least 0.7 is the forecast's: location = 0.7 + log-odds * scale.

Scores below 0 count as 0 and scores above 1 as 1, so the shortest interval with a probability of 90 % is one of three:
around the location, from a bound up to 1, or from 0 up to a bound. Consequently, an interval above 0.7 implies a
probability of at least 90 %, and one below 0.7 implies a probability of at most 10 %.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

INTERVAL_LEVEL = 0.9  # intended share of final scores inside their intervals
# Distances of the bounds from the location, in units of the scale: the log-odds of the probability inside each bound.
CENTRAL = math.log((1.0 + INTERVAL_LEVEL) / (1.0 - INTERVAL_LEVEL))
ONE_SIDED = math.log(INTERVAL_LEVEL / (1.0 - INTERVAL_LEVEL))

FACTORS = (0.1, 2.0, 61)  # smallest and largest factor that is tried, and their number, in equal ratios
FACTOR_SPREAD = 0.5  # standard deviation of the logarithm of the factor before any cycle is known; its mean is 0
ROWS_PER_CYCLE = 20  # maximum weight of a cycle, because its key results share its drift
MIN_SCALE = 0.01  # a smaller scale would make the density of exact hits arbitrarily large
Cycle = tuple["NDArray[float64]", "NDArray[float64]", "NDArray[float64]"]


def fit_scale_factor(past: Iterable[Cycle]) -> float:
    """Return the most probable factor of the scale, 1.0 without past cycles.

    `past` has the log-odds of forecasts, their scales before this factor, and the final scores of each past cycle.
    """
    import numpy as np

    factors = np.geomspace(*FACTORS)
    loss = (np.log(factors) / FACTOR_SPREAD) ** 2 / 2
    cycles = list(past)
    for log_odds, scale, scores in cycles:
        rows = min(len(scores), ROWS_PER_CYCLE)
        loss -= rows * np.array([_log_density(log_odds, scale * factor, scores).mean() for factor in factors])
    return round(float(factors[loss.argmin()]), 6) if cycles else 1.0


def _log_density(
    log_odds: "NDArray[float64]", scale: "NDArray[float64]", scores: "NDArray[float64]"
) -> "NDArray[float64]":
    """Return the logarithm of the density at each final score or, at 0 and 1, of the probability beyond them."""
    import numpy as np

    scale = np.maximum(scale, MIN_SCALE)
    distance = (scores - ACHIEVED_SCORE) / scale - log_odds
    at_least, at_most = -np.logaddexp(0.0, distance), -np.logaddexp(0.0, -distance)
    within = at_least + at_most - np.log(scale)
    return np.where(scores >= 1.0, at_least, np.where(scores <= 0.0, at_most, within))


def intervals(log_odds: "NDArray[float64]", scale: "NDArray[float64]") -> "tuple[NDArray[float64], NDArray[float64]]":
    """Return the bounds of the final score (0-1) for each row, from its log-odds and the scale of its distribution."""
    import numpy as np

    location = ACHIEVED_SCORE + log_odds * scale
    none, all_of_it = np.zeros(len(location)), np.ones(len(location))
    low = np.stack([_clipped(location - CENTRAL * scale), _clipped(location - ONE_SIDED * scale), none])
    high = np.stack([_clipped(location + CENTRAL * scale), all_of_it, _clipped(location + ONE_SIDED * scale)])
    shortest = (high - low).argmin(axis=0), np.arange(len(location))
    return low[shortest], high[shortest]


def interval(log_odds: float, scale: float) -> tuple[float, float]:
    """Return the bounds of one row, like `intervals`."""
    location = ACHIEVED_SCORE + log_odds * scale
    candidates = (
        (_bounded(location - CENTRAL * scale), _bounded(location + CENTRAL * scale)),
        (_bounded(location - ONE_SIDED * scale), 1.0),
        (0.0, _bounded(location + ONE_SIDED * scale)),
    )
    return min(candidates, key=_width)


def _clipped(scores: "NDArray[float64]") -> "NDArray[float64]":
    import numpy as np

    return np.clip(scores, 0.0, 1.0)


def _bounded(score: float) -> float:
    return min(max(score, 0.0), 1.0)


def _width(bounds: tuple[float, float]) -> float:
    return bounds[1] - bounds[0]
