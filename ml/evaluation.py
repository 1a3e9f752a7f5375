"""Evaluate a model on held-out check-ins and compare it with simple forecasts, such as the pacing rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.feature_rows import Rows
from ml.forecast_model import ForecastModel
from ml.forecast_scores import coverage, scores
from ml.noise_regression import NoiseRegression
from ml.pacing_rule import pace_ratio, pacing_probability

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MAX_RANKED_PACE = 1.5


@dataclass(frozen=True)
class Report:
    """The scores of each forecaster on the same check-ins.

    `rows` is the number of check-ins, `key_results` is the number of key results they belong to, and `achieved` is the
    share of the check-ins whose key result was achieved.
    """

    rows: int
    key_results: int
    achieved: float
    figures: Mapping[str, Mapping[str, float]]

    def brier(self, forecaster: str) -> float:
        """Return a forecaster's Brier score (0 is perfect)."""
        return self.figures[forecaster]["brier"]

    def flat(self) -> dict[str, float]:
        """Return all scores as MLflow metrics, each named `<forecaster>_<score>`."""
        named = {
            f"{forecaster}_{name}": number for forecaster, each in self.figures.items() for name, number in each.items()
        }
        return {"rows": float(self.rows), "key_results": float(self.key_results), "achieved": self.achieved, **named}


def evaluate(model: ForecastModel, test: Rows, train: Rows) -> Report:
    """Score a model on labelled check-ins. The base rate is computed from the model's training rows (`train`)."""
    import numpy as np

    outcome = test.outcomes()
    base = base_rate(train)
    confidence = test.numbers("confidence")
    has_confidence = ~np.isnan(confidence)
    low, high = model.intervals(test)
    figures = {
        "model": scores(outcome, model.probabilities(test)) | coverage(test.numbers("final_score"), low, high),
        "pacing_rule": scores(outcome, pacing_probability(test), np.minimum(pace_ratio(test), MAX_RANKED_PACE)),
        "base_rate": scores(outcome, np.full(len(test), base)),
        **_component_scores(model, test, outcome),
    }
    if has_confidence.any():
        figures["owner_confidence"] = scores(outcome[has_confidence], confidence[has_confidence])
        figures["model_where_confidence"] = scores(outcome[has_confidence], model.probabilities(test)[has_confidence])
    return Report(len(test), len(set(test["key_result_in_cycle"])), float(outcome.mean()), figures)


def _component_scores(model: ForecastModel, test: Rows, outcome: "NDArray[float64]") -> dict[str, dict[str, float]]:
    import numpy as np

    from ml.design_matrix import boosted_matrix, logistic_matrix

    margins = {
        "trees_alone": model.trees.margins(boosted_matrix(test)),
        "logistic_alone": model.logistic.margins(logistic_matrix(test)),
        "noise_regression_alone": model.noise.margins(test),
        "prior": NoiseRegression().margins(test),
    }
    return {name: scores(outcome, 1.0 / (1.0 + np.exp(-margin))) for name, margin in margins.items()}


def base_rate(train: Rows) -> float:
    """Return the share of achieved key results. Each key result counts once, however many rows it has."""
    outcomes = dict(zip(train["key_result_in_cycle"], train["is_achieved"], strict=True))
    return sum(map(bool, outcomes.values())) / len(outcomes) if outcomes else 0.5
