"""The pacing rule of OKR tools, which forecasts from pace alone. It serves forecasts until a model is better."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE
from lakehouse.number_format import percent
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows, rows_of_mappings
from ml.forecaster_protocol import Forecast
from ml.pace_transform import MIN_ELAPSED_RATIO

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


class PacingRule:
    """Forecasts a probability of 1 if `pace_ratio` is at least 0.7, else 0. The interval is always 0 to 1."""

    role = "pacing_rule"
    version = "pacing_rule"

    def forecast(self, records: Sequence[Mapping[str, object]]) -> list[Forecast]:
        """Return one forecast per feature row.

        Raises:
            PermanentError: a feature of a row is missing or not a finite number.
        """
        rows = rows_of_mappings(records, REQUIRED_FEATURES)
        facts = zip(
            pacing_probability(rows), rows.numbers("progress_ratio"), rows.numbers("elapsed_ratio"), strict=True
        )
        return [
            Forecast(float(probability), 0.0, 1.0, (_reason(progress, elapsed),))
            for probability, progress, elapsed in facts
        ]


def pace_ratio(rows: Rows) -> "NDArray[float64]":
    """Return progress divided by the elapsed share of the cycle, which counts as at least 0.1. Linear progress is 1."""
    import numpy as np

    return rows.numbers("progress_ratio") / np.maximum(rows.numbers("elapsed_ratio"), MIN_ELAPSED_RATIO)


def pacing_probability(rows: Rows) -> "NDArray[float64]":
    """Return the rule's probability (1.0 or 0.0) for each row."""
    import numpy as np

    return (pace_ratio(rows) >= ACHIEVED_SCORE - TOLERANCE).astype(np.float64)


def _reason(progress: float, elapsed: float) -> str:
    needed = round(ACHIEVED_SCORE * max(elapsed, MIN_ELAPSED_RATIO), 9)
    at_least = "" if elapsed >= MIN_ELAPSED_RATIO else f", which counts as at least {percent(MIN_ELAPSED_RATIO)}"
    return (
        f"Pacing rule (no model is better here): progress is at {percent(progress, beside=(needed,))} after "
        f"{percent(elapsed)} of the cycle. On track means at least {percent(needed)} "
        f"({percent(ACHIEVED_SCORE)} of the elapsed share{at_least})."
    )
