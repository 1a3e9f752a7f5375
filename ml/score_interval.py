"""Compute intervals of the final score from the same distribution as its probability, so they never contradict it.

The distribution of the final score is logistic. Its location is the one at which the probability of a score of at least
0.7 is the forecast's: location = 0.7 + log-odds * scale. Scores below 0 count as 0 and scores above 1 as 1, so the
shortest interval with a probability of 90 % is one of three: around the location, from a bound up to 1, or from 0 up to
a bound. Consequently, an interval above 0.7 implies a probability of at least 90 %, and one below 0.7 implies a
probability of at most 10 %.
"""

import math
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

INTERVAL_LEVEL = 0.9  # intended share of final scores inside their intervals
# Distances of the bounds from the location, in units of the scale: the log-odds of the probability inside each bound.
CENTRAL = math.log((1.0 + INTERVAL_LEVEL) / (1.0 - INTERVAL_LEVEL))
ONE_SIDED = math.log(INTERVAL_LEVEL / (1.0 - INTERVAL_LEVEL))


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
