"""Feature rows to the matrices of the two parts of the model. A shift asks another required pace of the same row."""

from typing import TYPE_CHECKING

from ml.feature_mart import PACE_RATIOS
from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

# Name -> sign of the effect that the trees must keep (0: free).
BOOSTED: dict[str, int] = {
    **dict.fromkeys(PACE_RATIOS, 1),
    "remaining_ratio": 0,
    "weeks_between_check_ins": 0,
}
LOGISTIC = ("log_pace_ratio_7d", "log_pace_ratio_14d", "log_pace_ratio_cycle", "log_remaining_ratio")
LOGISTIC_BOUND = 4.0  # beyond it, a log ratio of paces says nothing more


def boosted_matrix(rows: Rows, shift: "NDArray[float64] | float" = 0.0) -> "NDArray[float64]":
    """Return one column per name of BOOSTED."""
    return _matrix(rows, tuple(BOOSTED), shift)


def logistic_matrix(rows: Rows, shift: "NDArray[float64] | float" = 0.0) -> "NDArray[float64]":
    """Return one column per name of LOGISTIC, bounded."""
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
