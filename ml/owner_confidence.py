"""What an owner's confidence adds to the log-odds of the paces. Owners know what no value shows, but many are hopeful.

Its weight is learned on the rows' own question only: what an owner says of their target says nothing exact of others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.feature_rows import Rows
from ml.logistic_regression import round_fitted

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

SUREST = 0.98  # confidence beyond it, and below its opposite, counts as this
FEWEST_ROWS = 200
FEWEST_CYCLES = 2  # cycles drift: what fits a single one fits its drift


@dataclass(frozen=True)
class OwnerWeight:
    """log-odds = paces * margin + confidence * its log-odds + intercept, where a confidence was given."""

    paces: float
    confidence: float
    intercept: float
    centre: float

    def added(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        """Return, by row, what confidence adds against the mean confidence, and what all rows with one share."""
        import numpy as np

        said = confidence_log_odds(rows)
        given = ~np.isnan(said)
        added = np.where(given, self.confidence * (said - self.centre), 0.0)
        shared = np.where(given, self.confidence * self.centre + self.intercept, 0.0)
        return added, shared

    def scale(self, rows: Rows) -> "NDArray[float64]":
        """Return the factor of the paces' log-odds by row: 1 where no confidence was given."""
        import numpy as np

        return np.where(np.isnan(confidence_log_odds(rows)), 1.0, self.paces)


NO_WEIGHT = OwnerWeight(paces=1.0, confidence=0.0, intercept=0.0, centre=0.0)


def confidence_log_odds(rows: Rows) -> "NDArray[float64]":
    """Return the log-odds of confidences, bounded; NaN where none was given."""
    import numpy as np

    bounded = np.clip(rows.numbers("confidence"), 1.0 - SUREST, SUREST)
    return np.log(bounded / (1.0 - bounded))


def fit_owner_weight(rows: Rows, margins: "NDArray[float64]") -> OwnerWeight:
    """Learn from labelled rows of check-ins and the paces' log-odds of them.

    `NO_WEIGHT` where fewer than 200 rows of two cycles have a confidence, or where it would count against itself.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    said = confidence_log_odds(rows)
    given = ~np.isnan(said)
    some = rows.take(given)
    if given.sum() < FEWEST_ROWS or len(set(some["period_end"])) < FEWEST_CYCLES or len(set(some.outcomes())) < 2:
        return NO_WEIGHT
    matrix = np.column_stack([margins[given], said[given]])
    fitted = LogisticRegression(max_iter=1000, tol=1e-8).fit(matrix, some.outcomes())
    paces, confidence = (round_fitted(number) for number in fitted.coef_[0])
    if paces <= 0.0 or confidence <= 0.0:
        return NO_WEIGHT
    return OwnerWeight(paces, confidence, round_fitted(fitted.intercept_[0]), round_fitted(said[given].mean()))
