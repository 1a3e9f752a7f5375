"""Build the design matrices of the boosted trees and the logistic regression.

A row's `shift` (see `threshold_augmentation`) is added to its log required pace, so it is subtracted from each of its
log pace ratios.
"""

from typing import TYPE_CHECKING

from ml.feature_mart import PACE_RATIOS
from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

# Features of the trees, with XGBoost's monotone constraints: 1 is increasing, 0 is unconstrained.
BOOSTED: dict[str, int] = {
    **dict.fromkeys(PACE_RATIOS, 1),
    "remaining_ratio": 0,
    "weeks_between_check_ins": 0,
}
LOGISTIC = ("log_pace_ratio_7d", "log_pace_ratio_14d", "log_pace_ratio_cycle", "log_remaining_ratio")
LOGISTIC_BOUND = 4.0  # larger log pace ratios carry no additional information


def boosted_matrix(rows: Rows, shift: "NDArray[float64] | float" = 0.0) -> "NDArray[float64]":
    """Return a matrix with one column per feature of BOOSTED."""
    return _matrix(rows, tuple(BOOSTED), shift)


def logistic_matrix(rows: Rows, shift: "NDArray[float64] | float" = 0.0) -> "NDArray[float64]":
    """Return a matrix with one column per feature of LOGISTIC, clipped to +/- LOGISTIC_BOUND."""
    import numpy as np

    return np.clip(_matrix(rows, LOGISTIC, shift), -LOGISTIC_BOUND, LOGISTIC_BOUND)


def _matrix(rows: Rows, names: tuple[str, ...], shift: "NDArray[float64] | float") -> "NDArray[float64]":
    import numpy as np

    columns = []
    for name in names:
        if name in PACE_RATIOS:
            columns.append(rows.numbers(name) - shift)
        elif name == "log_remaining_ratio":
            columns.append(np.log(rows.numbers("remaining_ratio")))
        else:
            columns.append(rows.numbers(name))
    return np.column_stack(columns)
