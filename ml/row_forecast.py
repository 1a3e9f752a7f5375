"""Forecast one key result in about 10 us, with the compiled trees and the formulas of `ForecastModel` for single rows.

`ForecastModel` computes with columns, which costs several hundred microseconds even for one row. Both give equal
forecasts up to the rounding of 64-bit numbers (tests/ml/test_row_forecast.py); the margins of the trees are
bit-identical.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.logs import get_logger
from ml.booster_trees import NotCompilable
from ml.compiled_trees import CompiledTrees
from ml.design_matrix import BOOSTED, LOGISTIC, LOGISTIC_BOUND, boosted_matrix
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import rows_of_mappings
from ml.forecast_model import ForecastModel, absorb_rounding, base_only
from ml.forecast_reasons import no_check_in_reason, row_reasons
from ml.forecaster_protocol import Forecast
from ml.no_check_in_forecast import TENTHS
from ml.owner_confidence import MAX_CONFIDENCE
from ml.pace_transform import MAX_SIGNED_LOG, PACE_SCALE
from ml.score_interval import DAYS_PER_WEEK, EXPECTED_PACE_RATIOS, INTERVAL_LEVEL, reconcile_one

MOST_NEGATIVE_MARGIN = -700.0  # below -709, math.exp would overflow; the probability is then practically 0
PROBES = 200

Row = Mapping[str, Any]


class RowForecaster:
    """Forecasts single rows. It never changes, so threads can share it."""

    def __init__(self, model: ForecastModel, trees: CompiledTrees) -> None:
        import numpy as np

        self._model = model
        self._trees = trees
        logistic = model.logistic
        self._columns = tuple(zip(LOGISTIC, logistic.centre, logistic.coefficients, strict=True))
        self._logistic_base = logistic.intercept + float(np.dot(logistic.coefficients, logistic.centre))
        weeks = sorted(model.bands.by_week)
        nearest = {week: min(weeks, key=lambda each: abs(each - week)) for week in range(weeks[0], weeks[-1] + 1)}
        self._bands = {week: model.bands.by_week[near] for week, near in nearest.items()}
        self._first_week, self._last_week = weeks[0], weeks[-1]

    def forecast(self, row: Row, *, explains: bool = True) -> Forecast:
        """Return the forecast of a valid feature row. Unless `explains`, reasons and contributions are omitted."""
        if not row["check_ins"]:
            return self._without_check_in(row, explains=explains)
        confidence, owner = row["confidence"], self._model.owner
        scale, added, shared = 1.0, 0.0, 0.0
        if confidence is not None:
            bounded = min(max(confidence, 1.0 - MAX_CONFIDENCE), MAX_CONFIDENCE)
            added = owner.confidence * (math.log(bounded / (1.0 - bounded)) - owner.centre)
            scale, shared = owner.paces, owner.confidence * owner.centre + owner.intercept
        outcomes = self._trees.outcomes([row[name] for name in BOOSTED])
        effects = self._logistic_effects(row)
        pace_margin = (self._trees.margin(outcomes) + (sum(effects) + self._logistic_base)) / 2
        margin = scale * pace_margin + added + shared
        probability = 1.0 / (1.0 + math.exp(-margin)) if margin > MOST_NEGATIVE_MARGIN else 0.0
        low, high = reconcile_one(*self._bounds(row), probability, INTERVAL_LEVEL)
        if not explains:
            return Forecast(probability, low, high, (), {}, margin)
        contributions = {
            name: scale * effect for name, effect in self._blended(self._trees.contributions(outcomes), effects).items()
        }
        contributions["base"] += shared
        contributions["confidence"] = added
        texts = row_reasons(row, contributions)
        return Forecast(probability, low, high, texts, absorb_rounding(contributions, margin), margin)

    def _without_check_in(self, row: Row, *, explains: bool) -> Forecast:
        known = self._model.no_check_in
        step = min(max(int(row["elapsed_ratio"] * TENTHS), 0), TENTHS - 1)
        probability = known.achieved[step]
        bounds = reconcile_one(known.low[step], known.high[step], probability, INTERVAL_LEVEL)
        contributions, margin = base_only(probability)
        if not explains:
            return Forecast(probability, *bounds, (), {}, margin)
        return Forecast(probability, *bounds, no_check_in_reason(row, probability), contributions, margin)

    def _logistic_effects(self, row: Row) -> list[float]:
        effects = []
        for name, centre, coefficient in self._columns:
            value = math.log(row["remaining_ratio"]) if name == "log_remaining_ratio" else row[name]
            effects.append((min(max(value, -LOGISTIC_BOUND), LOGISTIC_BOUND) - centre) * coefficient)
        return effects

    def _blended(self, of_trees: Sequence[float], of_logistic: Sequence[float]) -> dict[str, float]:
        """Average the contributions of both models, like `forecast_reasons.blend`."""
        blended = {name: effect / 2 for name, effect in zip(BOOSTED, of_trees, strict=True)}
        for name, effect in zip(LOGISTIC, of_logistic, strict=True):
            blended[name] = blended.get(name, 0.0) + effect / 2
        blended["base"] = (self._trees.expected + self._logistic_base) / 2
        return blended

    def _bounds(self, row: Row) -> tuple[float, float]:
        """Return the bounds of the final score by the pace alone, like `Bands.bounds`."""
        week = math.floor((row["days_remaining"] + row["days_since_check_in"]) / DAYS_PER_WEEK)
        residuals = self._bands[min(max(week, self._first_week), self._last_week)]
        first, second, third = EXPECTED_PACE_RATIOS
        expected = (row[first] + row[second] + row[third]) / 3 + row["log_required_pace"]
        progress, remaining = row["progress_ratio"], row["remaining_ratio"]
        low, high = [_score(expected + residual, progress, remaining) for residual in residuals]
        return low, high


def _score(log_pace: float, progress: float, remaining: float) -> float:
    pace = PACE_SCALE * math.sinh(min(max(log_pace, -MAX_SIGNED_LOG), MAX_SIGNED_LOG))
    return min(max(progress + pace * remaining, 0.0), 1.0)


def row_forecaster(model: ForecastModel, rows: Sequence[Row]) -> RowForecaster | None:
    """Compile a model for single rows. Return None, with a warning, if its trees are not bit-identical to XGBoost's.

    The margins are compared on `rows`, which are valid feature rows, and on rows with values at the trees' thresholds.
    """
    try:
        trees = _checked(model, model.trees.compiled(), rows)
    except NotCompilable as error:
        get_logger(__name__).warning("single rows are scored by XGBoost itself, which is slower", why=str(error))
        return None
    return RowForecaster(model, trees)


def _checked(model: ForecastModel, trees: CompiledTrees, rows: Sequence[Row]) -> CompiledTrees:
    import numpy as np

    if not trees.explains:
        raise NotCompilable("The tables of the contributions would be too large.")
    random = np.random.default_rng(0)
    probes = np.column_stack([random.choice([*trees.boundaries(each), 0.0], PROBES) for each in range(trees.features)])
    matrix = np.vstack([probes, *([boosted_matrix(rows_of_mappings(rows, REQUIRED_FEATURES))] if rows else [])])
    compiled = np.array([trees.margin(trees.outcomes(row)) for row in matrix.tolist()])
    if not np.array_equal(compiled, model.trees.margins(matrix)):
        raise NotCompilable("The margins of the compiled trees differ from XGBoost's.")
    return trees
