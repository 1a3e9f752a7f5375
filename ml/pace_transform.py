"""Convert between paces and their signed logarithms, with the formula of `dbt_project/macros/signed_log.sql`.

A pace is the progress made in a period, divided by the share of the cycle that the period covers. A pace of 1.0 covers
the distance from baseline to target in exactly one cycle.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

PACE_SCALE = 0.1
MIN_ELAPSED_RATIO = 0.1
MAX_SIGNED_LOG = 30.0  # a pace of 5e11; the limit prevents an overflow in sinh()


def signed_log(pace: "NDArray[float64]") -> "NDArray[float64]":
    """Return asinh(pace / 0.1): logarithmic for large paces, linear around 0."""
    import numpy as np

    return np.arcsinh(pace / PACE_SCALE)


def pace_of(signed_logs: "NDArray[float64]") -> "NDArray[float64]":
    """Return the pace for a signed logarithm. This is the inverse of `signed_log`."""
    import numpy as np

    return PACE_SCALE * np.sinh(np.clip(signed_logs, -MAX_SIGNED_LOG, MAX_SIGNED_LOG))
