"""Add the effect of the owner's confidence to the log-odds that the models of pace (trees and regression) predict.

Owners have information that the values do not show, but many owners are too optimistic, so the weight of their
confidence is fitted. It is fitted only to the original rows, not to the copies with other required paces
(`threshold_augmentation`), because confidence in one target says little about confidence in other targets.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.feature_rows import Rows
from ml.logistic_regression import round_fitted

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MAX_CONFIDENCE = 0.98  # confidences are clipped to [1 - MAX_CONFIDENCE, MAX_CONFIDENCE]
MIN_ROWS = 200
MIN_CYCLES = 2  # a weight fitted to a single cycle would be biased by that cycle's drift


@dataclass(frozen=True)
class OwnerWeight:
    """The weights of the predicted log-odds (`paces`) and of the owner's confidence (`confidence`).

    For a row with a confidence, the result is `paces` * predicted log-odds + `confidence` * log-odds of the owner's
    confidence + `intercept`. `centre` is the mean log-odds of the confidences to which the weights were fitted.
    """

    paces: float
    confidence: float
    intercept: float
    centre: float

    def effects(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        """Return the effect of each confidence relative to the mean confidence, and the rest of the effect of each row.

        The rest (of the mean confidence and the intercept) is the same for all rows with a confidence. For rows without
        a confidence, both effects are 0.
        """
        import numpy as np

        log_odds = confidence_log_odds(rows)
        has_confidence = ~np.isnan(log_odds)
        added = np.where(has_confidence, self.confidence * (log_odds - self.centre), 0.0)
        shared = np.where(has_confidence, self.confidence * self.centre + self.intercept, 0.0)
        return added, shared

    def scale(self, rows: Rows) -> "NDArray[float64]":
        """Return the factor for each row's predicted log-odds. It is 1 for rows without a confidence."""
        import numpy as np

        return np.where(np.isnan(confidence_log_odds(rows)), 1.0, self.paces)


NO_WEIGHT = OwnerWeight(paces=1.0, confidence=0.0, intercept=0.0, centre=0.0)


def confidence_log_odds(rows: Rows) -> "NDArray[float64]":
    """Return the log-odds of the clipped confidences, with NaN for rows without a confidence."""
    import numpy as np

    bounded = np.clip(rows.numbers("confidence"), 1.0 - MAX_CONFIDENCE, MAX_CONFIDENCE)
    return np.log(bounded / (1.0 - bounded))


def fit_owner_weight(rows: Rows, margins: "NDArray[float64]") -> OwnerWeight:
    """Fit the weights to labelled check-ins. `margins` are the log-odds that the models of pace predict for them.

    Return `NO_WEIGHT` if a fitted weight is not positive, if fewer than 200 rows have a confidence, or if those rows
    are all from one cycle or all have the same outcome.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    log_odds = confidence_log_odds(rows)
    has_confidence = ~np.isnan(log_odds)
    rated = rows.take(has_confidence)
    if has_confidence.sum() < MIN_ROWS or len(set(rated["period_end"])) < MIN_CYCLES or len(set(rated.outcomes())) < 2:
        return NO_WEIGHT
    matrix = np.column_stack([margins[has_confidence], log_odds[has_confidence]])
    fitted = LogisticRegression(max_iter=1000, tol=1e-8).fit(matrix, rated.outcomes())
    paces, confidence = (round_fitted(number) for number in fitted.coef_[0])
    if paces <= 0.0 or confidence <= 0.0:
        return NO_WEIGHT
    return OwnerWeight(
        paces, confidence, round_fitted(fitted.intercept_[0]), round_fitted(log_odds[has_confidence].mean())
    )
