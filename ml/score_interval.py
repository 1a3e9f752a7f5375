"""Compute intervals of the final score from the difference between future and past pace, by weeks left in the cycle.

The key results of a cycle drift together: intervals fitted to one cycle covered 76 % of the final scores in the next
cycle instead of 90 %. Each training cycle therefore has its own band of residuals, and the widest band is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE
from ml.feature_rows import Rows
from ml.pace_transform import pace_of, signed_log

if TYPE_CHECKING:
    from numpy import float64, int_
    from numpy.typing import NDArray

EXPECTED_BY = ("log_pace_ratio_7d", "log_pace_ratio_14d", "log_pace_ratio_cycle")
FEWEST_ROWS = 20  # in one cycle and week; fewer are not enough for a 5 % quantile
DAYS_OF_A_WEEK = 7.0
INTERVAL_LEVEL = 0.9  # share of final scores within their intervals


@dataclass(frozen=True)
class Bands:
    """Lowest and highest residual of the signed log pace, by weeks left. Weeks without a band use the nearest band."""

    by_week: Mapping[int, tuple[float, float]]

    def of(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        """Return the bounds of the final score (0-1) of each row."""
        import numpy as np

        known = np.array(sorted(self.by_week))
        nearest = known[np.abs(weeks_left(rows)[:, None] - known[None, :]).argmin(axis=1)]
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
    """Return bounds that agree with the probability of a final score of at least 0.7.

    The bands depend only on the pace; the probability also depends on the owner's confidence. Without this correction,
    the two could contradict each other, as in "1 %" with "0.10 to 1.00" or "17 %" with "0.71 to 1.00".

    A probability below (1 - level) / 2 moves the interval below 0.7; a probability above 1 - (1 - level) / 2 moves it
    above 0.7. For any other probability, the interval must contain 0.7. If it does not, the bound closer to 0.7 moves
    until scores that are distributed uniformly over the interval give that probability.
    """
    import numpy as np

    tail = (1.0 - level) / 2.0
    is_missed, is_achieved = probability < tail, probability > 1.0 - tail
    ceiling = np.where(is_missed, ACHIEVED_SCORE, 1.0)
    floor = np.where(is_achieved, ACHIEVED_SCORE, 0.0)
    is_open = ~is_missed & ~is_achieved
    smallest = np.finfo(np.float64).tiny
    share_above = np.clip((probability - tail) / level, smallest, 1.0)
    share_below = np.clip(1.0 - share_above, smallest, 1.0)
    wide_low = high - np.maximum(high - ACHIEVED_SCORE, 0.0) / share_above
    wide_high = low + np.maximum(ACHIEVED_SCORE - low, 0.0) / share_below
    low, high = (
        np.where(is_open & (low > ACHIEVED_SCORE), wide_low, low),
        np.where(is_open & (high < ACHIEVED_SCORE), wide_high, high),
    )
    return np.clip(low, floor, ceiling), np.clip(high, floor, ceiling)


def fit_bands(rows: Rows, level: float) -> Bands:
    """Return the widest band of any training cycle, by weeks left. `rows` are labelled check-ins.

    A week of a cycle is ignored if it has fewer than 20 rows. If every week is ignored, all rows give one band.
    """
    import numpy as np

    actual = (rows.numbers("final_progress") - rows.numbers("progress_ratio")) / rows.numbers("remaining_ratio")
    residuals = signed_log(actual) - _expected(rows)
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    by_week: dict[int, tuple[float, float]] = {}
    for week, some in _by_cycle_and_week(rows):
        if len(some) >= FEWEST_ROWS:
            low, high = np.quantile(residuals[some], tails)
            widest = by_week.get(week, (np.inf, -np.inf))
            by_week[week] = (min(float(low), widest[0]), max(float(high), widest[1]))
    if not by_week:
        low, high = np.quantile(residuals, tails)
        by_week[0] = (float(low), float(high))
    return Bands(by_week)


def weeks_left(rows: Rows) -> "NDArray[int_]":
    """Return the number of whole weeks from the last check-in to the end of the cycle."""
    import numpy as np

    days = rows.numbers("days_remaining") + rows.numbers("days_since_check_in")
    return np.floor(days / DAYS_OF_A_WEEK).astype(np.int_)


def _expected(rows: Rows) -> "NDArray[float64]":
    import numpy as np

    ratios = np.array([rows.numbers(name) for name in EXPECTED_BY])
    return np.asarray(ratios.mean(axis=0) + rows.numbers("log_required_pace"), dtype=np.float64)


def _by_cycle_and_week(rows: Rows) -> "Iterator[tuple[int, NDArray[int_]]]":
    import numpy as np

    weeks, cycles = weeks_left(rows), rows["period_end"]
    for cycle in sorted(set(cycles)):
        for week in np.unique(weeks):
            yield int(week), np.flatnonzero((weeks == week) & (cycles == cycle))
