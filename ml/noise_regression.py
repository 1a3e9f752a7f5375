"""A logistic regression of features in units of noise, which starts from a prior and adapts to each closed cycle.

The noise is the expected standard deviation of the change until the end of the cycle (`noise_ratio`). All features are
0 if they say nothing, so their contributions are relative to 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE
from ml.feature_rows import Rows
from ml.logistic_regression import round_fitted
from ml.noise_prior import PRIOR_COEFFICIENTS, PRIOR_INTERCEPT

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

# Feature: the largest absolute value that it can have; larger values carry no additional information.
NOISE_FEATURES: Mapping[str, float] = {"margin": 8.0, "peers": 3.0, "reversion": 6.0, "season": 6.0, "pace": 6.0}
PACE_WINDOWS = ("log_pace_ratio_7d", "log_pace_ratio_14d", "log_pace_ratio_28d")
# The columns of ml.key_result_features that name the contributions of the first four features. The contribution of the
# pace is divided equally among its windows.
CONTRIBUTING_COLUMNS = ("progress_ratio", "peer_drift", "reversion_ratio", "season_ratio")
MIN_NOISE = 1e-6  # of the targeted gain; prevents a division by zero
PRIOR_PRECISION = 10.0  # of each coefficient
ROWS_PER_CYCLE = 30.0  # maximum weight of a cycle, because its key results share its drift
MIN_MARGIN_COEFFICIENT = 0.1  # the scale of the final score needs a positive coefficient
MAX_STEPS = 50
CONVERGED = 1e-10
ROUNDING = 1e-9  # of the loss
MAX_LOG_ODDS = 30.0


@dataclass(frozen=True)
class NoiseRegression:
    """log-odds = intercept + coefficients * features. The coefficients have the order of NOISE_FEATURES."""

    coefficients: tuple[float, ...] = tuple(PRIOR_COEFFICIENTS[name] for name in NOISE_FEATURES)
    intercept: float = PRIOR_INTERCEPT

    def margins(self, rows: Rows) -> "NDArray[float64]":
        """Return the log-odds of each row."""
        import numpy as np

        effects = noise_matrix(rows) * np.array(self.coefficients)
        return np.asarray(effects.sum(axis=1) + self.intercept, dtype=np.float64)

    def contributions(self, rows: Rows) -> dict[str, "NDArray[float64]"]:
        """Return the contribution of each column and the intercept (`base`). They add up to `margins`."""
        import numpy as np

        effects = noise_matrix(rows) * np.array(self.coefficients)
        own = {name: effects[:, position] for position, name in enumerate(CONTRIBUTING_COLUMNS)}
        pace = effects[:, len(CONTRIBUTING_COLUMNS)] / len(PACE_WINDOWS)
        return {**dict.fromkeys(PACE_WINDOWS, pace), **own, "base": np.full(len(rows), self.intercept)}

    def scale(self, noise_ratio: "NDArray[float64]") -> "NDArray[float64]":
        """Return the scale of the logistic distribution of each row's final score, in units of the targeted gain."""
        import numpy as np

        return np.maximum(noise_ratio, MIN_NOISE) / self.margin_coefficient

    @property
    def margin_coefficient(self) -> float:
        """The coefficient of the margin, or the smallest positive one that is used for the scale."""
        return max(self.coefficients[0], MIN_MARGIN_COEFFICIENT)


def noise_matrix(rows: Rows) -> "NDArray[float64]":
    """Return a matrix with one column per feature of NOISE_FEATURES."""
    import numpy as np

    noise = np.maximum(rows.numbers("noise_ratio"), MIN_NOISE)
    first, second, third = (rows.numbers(name) for name in PACE_WINDOWS)
    features = (
        (rows.numbers("progress_ratio") - ACHIEVED_SCORE) / noise,
        rows.numbers("peer_drift"),
        rows.numbers("reversion_ratio") / noise,
        rows.numbers("season_ratio") / noise,
        (first + second + third) / 3,
    )
    limits = NOISE_FEATURES.values()
    return np.column_stack([np.clip(each, -limit, limit) for each, limit in zip(features, limits, strict=True)])


def fit_noise_regression(rows: Rows) -> NoiseRegression:
    """Fit the regression to labelled check-ins of closed cycles. Without rows, return the prior."""
    import numpy as np

    if not len(rows):
        return NoiseRegression()
    _, cycle, sizes = np.unique(rows["period_end"].astype(str), return_inverse=True, return_counts=True)
    matrix = np.column_stack([noise_matrix(rows), np.ones(len(rows))])
    prior = np.array([*NoiseRegression().coefficients, PRIOR_INTERCEPT])
    fitted = _most_probable(matrix, rows.outcomes(), np.minimum(1.0, ROWS_PER_CYCLE / sizes)[cycle], prior)
    *coefficients, intercept = (round_fitted(number) for number in fitted)
    return NoiseRegression(tuple(coefficients), intercept)


def _most_probable(
    matrix: "NDArray[float64]", labels: "NDArray[float64]", weights: "NDArray[float64]", prior: "NDArray[float64]"
) -> "NDArray[float64]":
    """Maximize the posterior density by Newton's method, halving each step that would lower the density."""
    import numpy as np

    def loss(found: "NDArray[float64]") -> float:
        log_odds = matrix @ found
        likelihood = weights @ (np.logaddexp(0.0, log_odds) - labels * log_odds)
        return float(likelihood + PRIOR_PRECISION * ((found - prior) ** 2).sum() / 2)

    found = prior.copy()
    for _ in range(MAX_STEPS):
        predicted = 1.0 / (1.0 + np.exp(-np.clip(matrix @ found, -MAX_LOG_ODDS, MAX_LOG_ODDS)))
        gradient = matrix.T @ (weights * (predicted - labels)) + PRIOR_PRECISION * (found - prior)
        curvature = (matrix * (weights * predicted * (1.0 - predicted))[:, None]).T @ matrix
        step = np.linalg.solve(curvature + PRIOR_PRECISION * np.eye(len(prior)), gradient)
        while loss(found - step) > loss(found) + ROUNDING:
            step /= 2.0
        found -= step
        if np.abs(step).max() <= CONVERGED:
            break
    return found
