"""The pacing rule of OKR tools: a key result is achieved if its pace is at least 0.7. Models are compared with it."""

from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE
from ml.feature_rows import Rows
from ml.pace_transform import MIN_ELAPSED_RATIO

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


def pace_ratio(rows: Rows) -> "NDArray[float64]":
    """Return progress divided by the elapsed share of the cycle, which counts as at least 0.1. Linear progress is 1."""
    import numpy as np

    return rows.numbers("progress_ratio") / np.maximum(rows.numbers("elapsed_ratio"), MIN_ELAPSED_RATIO)


def pacing_probability(rows: Rows) -> "NDArray[float64]":
    """Return the rule's probability (1.0 or 0.0) for each row."""
    import numpy as np

    return (pace_ratio(rows) >= ACHIEVED_SCORE - TOLERANCE).astype(np.float64)
