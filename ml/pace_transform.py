"""Paces and their signed logarithm: the same measures as `dbt_project/macros/signed_log.sql`.

A pace counts whole ways from baseline to target by cycle: 1.0 is the line from baseline to target.
"""

from typing import TYPE_CHECKING

from lakehouse import scoring

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

ACHIEVED_SCORE = scoring.ACHIEVED_SCORE
TOLERANCE = scoring.TOLERANCE
PACE_SCALE = 0.1
SHORTEST_ELAPSED = 0.1
LARGEST_LOG = 30.0  # of a pace of 5e11; above it, sinh() would overflow for nothing


def signed_log(pace: "NDArray[float64]") -> "NDArray[float64]":
    """Return asinh(pace / 0.1): the logarithm of large paces, a straight line around 0."""
    import numpy as np

    return np.arcsinh(pace / PACE_SCALE)


def pace_of(log: "NDArray[float64]") -> "NDArray[float64]":
    """Return the pace of a signed log; the inverse of `signed_log`."""
    import numpy as np

    return PACE_SCALE * np.sinh(np.clip(log, -LARGEST_LOG, LARGEST_LOG))
