"""A reference forecast: progress as a random walk with drift, whose parameters come from the organisation's own past.

The final progress is normally distributed: its mean is progress + drift * days left, its variance is rate * days left.
Progress is the share of the targeted gain.

- The drift is the median of (final progress / days of the cycle) over earlier key results.
- The variance rate of a key result is the mean of (step - drift * days of the step)^2 / days of the step over its steps
  between check-ins; the first step starts at the baseline on the first day of the cycle.
- The variance rate of a forecast is that of the key result's steps so far, in which PRIOR_STEPS further steps have the
  median variance rate of earlier key results.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE
from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

PRIOR_STEPS = 4
MIN_DAYS = 0.25  # lower limit of the days of a step, and of the days left
MIN_RATE = 1e-8  # progress^2 per day; the limit prevents a division by zero if nothing ever moved
QUANTILE = 1.6448536269514722  # of the standard normal distribution, at 0.95
DEFAULT_RATE = 0.01  # without earlier key results: in 49 days, progress moves by 0.7 (one standard deviation)


@dataclass(frozen=True)
class RandomWalk:
    """The drift in progress per day, and the median variance rate in progress^2 per day."""

    drift: float
    rate: float

    def probabilities(self, rows: Rows) -> "NDArray[float64]":
        """Return the probability that the final progress is at least 0.7. Rows are ordered by key result and as_of."""
        import numpy as np
        from scipy.special import ndtr

        mean, deviation = self._final_progress(rows)
        return np.asarray(ndtr((mean - ACHIEVED_SCORE) / deviation), dtype=np.float64)

    def intervals(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        """Return the 90 % interval of the final score, which is the final progress, clipped to 0..1."""
        import numpy as np

        mean, deviation = self._final_progress(rows)
        return np.clip(mean - QUANTILE * deviation, 0.0, 1.0), np.clip(mean + QUANTILE * deviation, 0.0, 1.0)

    def _final_progress(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        import numpy as np

        squares, steps = _squares_so_far(rows, self.drift)
        rate = (PRIOR_STEPS * self.rate + squares) / (PRIOR_STEPS + steps)
        days_left = np.maximum(rows.numbers("days_remaining"), MIN_DAYS)
        return rows.numbers("progress_ratio") + self.drift * days_left, np.sqrt(rate * days_left)


def fit_random_walk(train: Rows) -> RandomWalk:
    """Estimate the parameters from closed key results, whose rows are ordered by key result and as_of."""
    import numpy as np

    check_ins = train.take(train["as_of_kind"] == "check_in")
    if not len(check_ins):
        return RandomWalk(0.0, DEFAULT_RATE)
    last = _is_last(check_ins)
    cycle_days = _days_elapsed(check_ins) + check_ins.numbers("days_remaining")
    drift = float(np.median((check_ins.numbers("final_progress") / cycle_days)[last]))
    squares, steps = _squares_so_far(check_ins, drift)
    return RandomWalk(drift, max(float(np.median((squares / steps)[last])), MIN_RATE))


def _squares_so_far(rows: Rows, drift: float) -> "tuple[NDArray[float64], NDArray[float64]]":
    """Return, for each check-in, the sum of its key result's squared steps per day so far, and their number."""
    import numpy as np

    is_first, day, progress = _is_first(rows), _days_elapsed(rows), rows.numbers("progress_ratio")
    days = np.maximum(np.where(is_first, day, day - np.roll(day, 1)), MIN_DAYS)
    step = np.where(is_first, progress, progress - np.roll(progress, 1))
    total = np.cumsum((step - drift * days) ** 2 / days)
    number = np.arange(1.0, len(rows) + 1.0)
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(rows)), 0))
    before_first = np.concatenate([[0.0], total])[first]
    return total - before_first, number - first


def _days_elapsed(rows: Rows) -> "NDArray[float64]":
    import numpy as np

    starts = (datetime.combine(day, time(), tzinfo=UTC) for day in rows["cycle_start"])
    pairs = zip(rows["as_of"], starts, strict=True)
    return np.array([(as_of - start).total_seconds() / 86_400.0 for as_of, start in pairs], dtype=np.float64)


def _is_first(rows: Rows) -> "NDArray[float64]":
    import numpy as np

    names = rows["key_result_in_cycle"]
    return np.array([number == 0 or names[number - 1] != name for number, name in enumerate(names)], dtype=bool)


def _is_last(rows: Rows) -> "NDArray[float64]":
    import numpy as np

    return np.roll(_is_first(rows), -1)
