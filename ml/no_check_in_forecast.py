"""Forecasts of key results without any check-in: how those fared that had said nothing for as long."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64, int_
    from numpy.typing import NDArray

STEPS = 10
PRIOR_KEY_RESULTS = 5.0  # the share of all key results weighs like so many silent ones
FEWEST_SILENT = 20  # fewer give no quantiles; then those of all key results count


@dataclass(frozen=True)
class NoCheckInForecast:
    """By tenth of the cycle: share achieved and outer quantiles of the final score, of those still silent then."""

    achieved: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def step(self, elapsed: "NDArray[float64]") -> "NDArray[int_]":
        """Return the tenth (0-9) of elapsed ratios."""
        import numpy as np

        return np.clip((elapsed * STEPS).astype(np.int_), 0, STEPS - 1)


def fit_no_check_in_forecast(rows: Rows, level: float) -> NoCheckInForecast:
    """Learn from all closed key results: rows of check-ins, and rows without as_of for those that never checked in."""
    import numpy as np

    keys, first = np.unique(rows["key_result_in_cycle"].astype(str), return_index=True)
    # Rows are ordered by key result and as_of, so that a key result's first row is its first check-in.
    spoke_at = np.array([np.inf if value is None else float(value) for value in rows["elapsed_ratio"][first]])
    achieved = rows["is_achieved"][first].astype(np.float64)
    scores = rows.numbers("final_score")[first]
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    overall = float(achieved.mean()) if len(keys) else 0.5
    shares, lows, highs = [], [], []
    for step in range(STEPS):
        silent = spoke_at > step / STEPS
        successes, trials = achieved[silent].sum() + PRIOR_KEY_RESULTS * overall, silent.sum() + PRIOR_KEY_RESULTS
        shares.append(float(successes / trials))
        low, high = np.quantile(scores[silent] if silent.sum() >= FEWEST_SILENT else scores, tails)
        lows.append(float(low))
        highs.append(float(high))
    return NoCheckInForecast(tuple(shares), tuple(lows), tuple(highs))
