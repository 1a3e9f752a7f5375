"""Compute intervals of the final score from residuals of the pace, grouped by weeks left in the cycle.

A residual is the difference between the signed logarithms of the paces after and before a check-in. Key results in the
same cycle drift together: intervals fitted to one cycle covered 76 % of the final scores in the next cycle instead of
90 %. Each training cycle therefore has its own band of residuals, and the envelope of these bands is used: the lowest
lower bound and the highest upper bound.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE
from ml.feature_rows import Rows
from ml.pace_transform import pace_of, signed_log

if TYPE_CHECKING:
    from numpy import float64, int_
    from numpy.typing import NDArray

EXPECTED_PACE_RATIOS = ("log_pace_ratio_7d", "log_pace_ratio_14d", "log_pace_ratio_cycle")
MIN_ROWS = 20  # per cycle and week; fewer rows are not enough for a 5 % quantile
DAYS_PER_WEEK = 7.0
INTERVAL_LEVEL = 0.9  # intended share of final scores inside their intervals


@dataclass(frozen=True)
class Bands:
    """Lower and upper bounds on the residuals, by weeks left. A week without bounds uses the nearest week's bounds."""

    by_week: Mapping[int, tuple[float, float]]

    def bounds(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        """Return the bounds of the final score (0-1) for each row."""
        import numpy as np

        weeks = np.array(sorted(self.by_week))
        nearest = weeks[np.abs(weeks_left(rows)[:, None] - weeks[None, :]).argmin(axis=1)]
        residuals = np.array([self.by_week[int(week)] for week in nearest]).reshape(-1, 2)
        expected = _expected(rows)
        low, high = (self._score(rows, expected + residuals[:, side]) for side in (0, 1))
        return low, high

    @staticmethod
    def _score(rows: Rows, log_pace: "NDArray[float64]") -> "NDArray[float64]":
        import numpy as np

        return np.clip(rows.numbers("progress_ratio") + pace_of(log_pace) * rows.numbers("remaining_ratio"), 0.0, 1.0)


def reconcile(
    low: "NDArray[float64]", high: "NDArray[float64]", probability: "NDArray[float64]", level: float
) -> "tuple[NDArray[float64], NDArray[float64]]":
    """Adjust bounds to be consistent with the probability of a final score of at least 0.7.

    The bands depend only on the pace, but the probability also depends on the owner's confidence. Without this
    adjustment, they could contradict each other. For example, a probability of 1 % could have an interval of 0.10 to
    1.00, and a probability of 17 % could have an interval of 0.71 to 1.00.

    If the probability is below (1 - level) / 2, the interval is limited to scores of at most 0.7. If it is above
    1 - (1 - level) / 2, the interval is limited to scores of at least 0.7. Otherwise, the interval must contain 0.7. If
    it does not, its bound closer to 0.7 is moved. The new bound follows from a distribution in which a probability of
    `level` is spread uniformly over the interval, and (1 - level) / 2 is on each side of it. In this distribution, a
    score of at least 0.7 then has the predicted probability.
    """
    import numpy as np

    tail = (1.0 - level) / 2.0
    is_probably_missed, is_probably_achieved = probability < tail, probability > 1.0 - tail
    ceiling = np.where(is_probably_missed, ACHIEVED_SCORE, 1.0)
    floor = np.where(is_probably_achieved, ACHIEVED_SCORE, 0.0)
    is_uncertain = ~is_probably_missed & ~is_probably_achieved
    smallest = np.finfo(np.float64).tiny
    share_above = np.clip((probability - tail) / level, smallest, 1.0)
    share_below = np.clip(1.0 - share_above, smallest, 1.0)
    wide_low = high - np.maximum(high - ACHIEVED_SCORE, 0.0) / share_above
    wide_high = low + np.maximum(ACHIEVED_SCORE - low, 0.0) / share_below
    low, high = (
        np.where(is_uncertain & (low > ACHIEVED_SCORE), wide_low, low),
        np.where(is_uncertain & (high < ACHIEVED_SCORE), wide_high, high),
    )
    return np.clip(low, floor, ceiling), np.clip(high, floor, ceiling)


def reconcile_one(low: float, high: float, probability: float, level: float) -> tuple[float, float]:
    """Adjust the bounds of one row, like `reconcile`."""
    tail = (1.0 - level) / 2.0
    if probability < tail:
        return min(low, ACHIEVED_SCORE), min(high, ACHIEVED_SCORE)
    if probability > 1.0 - tail:
        return max(low, ACHIEVED_SCORE), max(high, ACHIEVED_SCORE)
    share_above = min(max((probability - tail) / level, sys.float_info.min), 1.0)
    share_below = min(max(1.0 - share_above, sys.float_info.min), 1.0)
    wide_low = high - max(high - ACHIEVED_SCORE, 0.0) / share_above if low > ACHIEVED_SCORE else low
    wide_high = low + max(ACHIEVED_SCORE - low, 0.0) / share_below if high < ACHIEVED_SCORE else high
    return min(max(wide_low, 0.0), 1.0), min(max(wide_high, 0.0), 1.0)


def fit_bands(rows: Rows, level: float) -> Bands:
    """Return the envelope of the training cycles' bands, by weeks left. `rows` are labelled check-ins.

    Weeks with fewer than 20 rows in a cycle are ignored. If all weeks are ignored, one band is fitted to all rows.
    """
    import numpy as np

    actual = (rows.numbers("final_progress") - rows.numbers("progress_ratio")) / rows.numbers("remaining_ratio")
    residuals = signed_log(actual) - _expected(rows)
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    by_week: dict[int, tuple[float, float]] = {}
    for week, selected in _by_cycle_and_week(rows):
        if len(selected) >= MIN_ROWS:
            low, high = np.quantile(residuals[selected], tails)
            envelope = by_week.get(week, (np.inf, -np.inf))
            by_week[week] = (min(float(low), envelope[0]), max(float(high), envelope[1]))
    if not by_week:
        low, high = np.quantile(residuals, tails)
        by_week[0] = (float(low), float(high))
    return Bands(by_week)


def weeks_left(rows: Rows) -> "NDArray[int_]":
    """Return the number of whole weeks from the last check-in to the end of the cycle."""
    import numpy as np

    days = rows.numbers("days_remaining") + rows.numbers("days_since_check_in")
    return np.floor(days / DAYS_PER_WEEK).astype(np.int_)


def _expected(rows: Rows) -> "NDArray[float64]":
    import numpy as np

    ratios = np.array([rows.numbers(name) for name in EXPECTED_PACE_RATIOS])
    return np.asarray(ratios.mean(axis=0) + rows.numbers("log_required_pace"), dtype=np.float64)


def _by_cycle_and_week(rows: Rows) -> "Iterator[tuple[int, NDArray[int_]]]":
    import numpy as np

    weeks, cycles = weeks_left(rows), rows["period_end"]
    for cycle in sorted(set(cycles)):
        for week in np.unique(weeks):
            yield int(week), np.flatnonzero((weeks == week) & (cycles == cycle))
