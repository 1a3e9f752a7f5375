"""A small logistic regression, averaged with the trees. Only its numbers are stored; serving needs no scikit-learn."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LogisticModel:
    """log-odds = intercept + coefficients * columns. Contributions are relative to `centre`, the training mean."""

    coefficients: tuple[float, ...]
    intercept: float
    centre: tuple[float, ...]

    def margins(self, matrix: "NDArray[float64]") -> "NDArray[float64]":
        """Return the log-odds of each row."""
        import numpy as np

        return np.asarray(self.contributions(matrix).sum(axis=1), dtype=np.float64)

    def contributions(self, matrix: "NDArray[float64]") -> "NDArray[float64]":
        """Return each feature's contribution relative to the training mean, followed by the log-odds at that mean."""
        import numpy as np

        effects = (matrix - np.array(self.centre)) * np.array(self.coefficients)
        base = self.intercept + float(np.dot(self.coefficients, self.centre))
        return np.column_stack([effects, np.full(len(matrix), base)])


def round_fitted(number: float) -> float:
    """Round to 6 significant digits, because the remaining digits depend on the number of CPU cores."""
    return float(f"{number:.6g}")


def fit_logistic(
    matrix: "NDArray[float64]", labels: "NDArray[float64]", hyperparameters: Hyperparameters
) -> LogisticModel:
    """Fit by maximum likelihood with an L2 penalty (`logistic_strength` is scikit-learn's C)."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=hyperparameters.logistic_strength, max_iter=1000, tol=1e-8).fit(matrix, labels)
    return LogisticModel(
        coefficients=tuple(round_fitted(number) for number in fitted.coef_[0]),
        intercept=round_fitted(fitted.intercept_[0]),
        centre=tuple(round_fitted(mean) for mean in matrix.mean(axis=0)),
    )
