"""Forecast key results without check-ins, based on the outcomes of key results that went equally long without one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64, int_
    from numpy.typing import NDArray

TENTHS = 10
PRIOR_KEY_RESULTS = 5.0  # weight of the overall share, expressed as a number of key results


@dataclass(frozen=True)
class NoCheckInForecast:
    """The share of achieved key results among those that still had no check-in, by tenth of the cycle."""

    achieved: tuple[float, ...]

    def step(self, elapsed: "NDArray[float64]") -> "NDArray[int_]":
        """Return the tenth of the cycle (0-9) that each elapsed ratio belongs to."""
        import numpy as np

        return np.clip((elapsed * TENTHS).astype(np.int_), 0, TENTHS - 1)


def fit_no_check_in_forecast(rows: Rows) -> NoCheckInForecast:
    """Fit the forecast to closed key results.

    `rows` has one row per check-in, and one row with a null as_of for each key result without check-ins.
    """
    import numpy as np

    key_results, first = np.unique(rows["key_result_in_cycle"].astype(str), return_index=True)
    # Rows are ordered by key result and as_of, so the first row of a key result is its first check-in.
    first_check_in_at = np.array([np.inf if value is None else float(value) for value in rows["elapsed_ratio"][first]])
    achieved = rows["is_achieved"][first].astype(np.float64)
    overall = float(achieved.mean()) if len(key_results) else 0.5
    shares = []
    for step in range(TENTHS):
        still_without = first_check_in_at > step / TENTHS
        successes, trials = (
            achieved[still_without].sum() + PRIOR_KEY_RESULTS * overall,
            still_without.sum() + PRIOR_KEY_RESULTS,
        )
        shares.append(float(successes / trials))
    return NoCheckInForecast(tuple(shares))
