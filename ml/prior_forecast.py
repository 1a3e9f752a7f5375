"""Forecasts without training: the noise regression with the coefficients that ship with the package.

It serves forecasts as long as no trained model is better, for example in an organisation without closed cycles.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ml import forecast_reasons
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows, rows_of_mappings
from ml.forecast_model import absorb_rounding
from ml.forecaster_protocol import Forecast
from ml.noise_regression import NoiseRegression
from ml.score_interval import intervals

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

PRIOR = NoiseRegression()


class PriorForecaster:
    """Forecasts from the prior. A key result without check-ins is forecast as if it were still at its baseline."""

    role = "prior"
    version = "prior"

    def forecast(self, records: Sequence[Mapping[str, object]]) -> list[Forecast]:
        """Return one forecast per feature row, in the same order.

        Raises:
            PermanentError: a feature of a row is missing or not a finite number.
        """
        if not records:
            return []
        rows = rows_of_mappings(records, REQUIRED_FEATURES)
        margins, probabilities, (low, high) = PRIOR.margins(rows), prior_probabilities(rows), prior_intervals(rows)
        contributions = PRIOR.contributions(rows)
        forecasts = []
        for position, record in enumerate(records):
            effects = {name: float(each[position]) for name, each in contributions.items()}
            margin = float(margins[position])
            reasons = forecast_reasons.prior_reasons(record, effects)
            bounds = float(low[position]), float(high[position])
            exact = absorb_rounding(effects, margin)
            forecasts.append(Forecast(float(probabilities[position]), *bounds, reasons, exact, margin))
        return forecasts


def prior_probabilities(rows: Rows) -> "NDArray[float64]":
    """Return the prior's P(final score >= 0.7) for each row."""
    import numpy as np

    return np.asarray(1.0 / (1.0 + np.exp(-PRIOR.margins(rows))), dtype=np.float64)


def prior_intervals(rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
    """Return the bounds of the final score (0-1) for each row, from the distribution that gives the probability."""
    return intervals(PRIOR.margins(rows), PRIOR.scale(rows.numbers("noise_ratio")))
