"""Forecast one key result in about 10 us, with the compiled trees and the formulas of `ForecastModel` for single rows.

`ForecastModel` computes with columns, which costs several hundred microseconds even for one row. Both give equal
forecasts up to the rounding of 64-bit numbers (tests/ml/test_row_forecast.py); the margins of the trees are
bit-identical.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakehouse.achieved_score import ACHIEVED_SCORE
from lakehouse.logs import get_logger
from ml.blend import MAX_PACE_LOG_ODDS
from ml.booster_trees import NotCompilable
from ml.compiled_trees import CompiledTrees
from ml.design_matrix import BOOSTED, LOGISTIC, LOGISTIC_BOUND, boosted_matrix
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import rows_of_mappings
from ml.forecast_model import MIN_SHARE, ForecastModel, absorb_rounding, base_only
from ml.forecast_reasons import no_check_in_reason, row_reasons
from ml.forecaster_protocol import Forecast
from ml.no_check_in_forecast import TENTHS
from ml.noise_regression import CONTRIBUTING_COLUMNS, MIN_NOISE, NOISE_FEATURES, PACE_WINDOWS
from ml.owner_confidence import MAX_CONFIDENCE
from ml.score_interval import interval

MOST_NEGATIVE_MARGIN = -700.0  # below -709, math.exp would overflow; the probability is then practically 0
PROBES = 200
MARGIN_LIMIT, PEERS_LIMIT, REVERSION_LIMIT, SEASON_LIMIT, PACE_LIMIT = NOISE_FEATURES.values()

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
        self._weight = model.weight
        self._scale_per_noise = model.scale_factor / model.noise.margin_coefficient

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
        effects, noise_effects = self._logistic_effects(row), self._noise_effects(row)
        paces = (self._trees.margin(outcomes) + (sum(effects) + self._logistic_base)) / 2
        noise_margin, weight = sum(noise_effects) + self._model.noise.intercept, self._weight
        bounded_paces = min(max(paces, -MAX_PACE_LOG_ODDS), MAX_PACE_LOG_ODDS)
        margin = scale * (weight * noise_margin + (1.0 - weight) * bounded_paces) + added + shared
        probability = 1.0 / (1.0 + math.exp(-margin)) if margin > MOST_NEGATIVE_MARGIN else 0.0
        low, high = interval(margin, self._score_scale(row))
        if not explains:
            return Forecast(probability, low, high, (), {}, margin)
        share = (1.0 - weight) * MAX_PACE_LOG_ODDS / max(abs(paces), MAX_PACE_LOG_ODDS)
        of_paces = self._pace_contributions(self._trees.contributions(outcomes), effects)
        contributions = {name: scale * share * effect for name, effect in of_paces.items()}
        for name, effect in self._noise_contributions(noise_effects):
            contributions[name] = contributions.get(name, 0.0) + scale * weight * effect
        contributions["base"] += shared
        contributions["confidence"] = added
        texts = row_reasons(row, contributions)
        return Forecast(probability, low, high, texts, absorb_rounding(contributions, margin), margin)

    def _without_check_in(self, row: Row, *, explains: bool) -> Forecast:
        known = self._model.no_check_in
        step = min(max(int(row["elapsed_ratio"] * TENTHS), 0), TENTHS - 1)
        probability = known.achieved[step]
        share = min(max(probability, MIN_SHARE), 1.0 - MIN_SHARE)
        bounds = interval(math.log(share / (1.0 - share)), self._score_scale(row))
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

    def _noise_effects(self, row: Row) -> tuple[float, float, float, float, float]:
        """Return the effect of each noise feature on the log-odds, like `NoiseRegression.contributions`."""
        margin, peers, reversion, season, pace = self._model.noise.coefficients
        noise = max(row["noise_ratio"], MIN_NOISE)
        first, second, third = PACE_WINDOWS
        mean_pace = (row[first] + row[second] + row[third]) / 3
        return (
            margin * _clipped((row["progress_ratio"] - ACHIEVED_SCORE) / noise, MARGIN_LIMIT),
            peers * _clipped(row["peer_drift"], PEERS_LIMIT),
            reversion * _clipped(row["reversion_ratio"] / noise, REVERSION_LIMIT),
            season * _clipped(row["season_ratio"] / noise, SEASON_LIMIT),
            pace * _clipped(mean_pace, PACE_LIMIT),
        )

    def _noise_contributions(self, effects: Sequence[float]) -> Iterator[tuple[str, float]]:
        *own, pace = effects
        yield from ((name, pace / len(PACE_WINDOWS)) for name in PACE_WINDOWS)
        yield from zip(CONTRIBUTING_COLUMNS, own, strict=True)
        yield "base", self._model.noise.intercept

    def _score_scale(self, row: Row) -> float:
        return float(max(row["noise_ratio"], MIN_NOISE) * self._scale_per_noise)

    def _pace_contributions(self, of_trees: Sequence[float], of_logistic: Sequence[float]) -> dict[str, float]:
        """Average the contributions of the trees and the regression, like `forecast_reasons.pace_contributions`."""
        blended = {name: effect / 2 for name, effect in zip(BOOSTED, of_trees, strict=True)}
        for name, effect in zip(LOGISTIC, of_logistic, strict=True):
            blended[name] = blended.get(name, 0.0) + effect / 2
        blended["base"] = (self._trees.expected + self._logistic_base) / 2
        return blended


def _clipped(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


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
