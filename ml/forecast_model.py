"""The trained model, which computes the probability, the interval and the reasons of each forecast.

The model averages the log-odds of two members: the pace model (boosted trees and a logistic regression) and the noise
regression. Then it adds the effect of the owner's confidence. It is stored as two files, `trees.ubj` (in XGBoost's
format) and `model.json`, never as a pickle.
`row_forecast` computes the same for the single rows that callers of POST /predict send.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.errors import PermanentError
from ml import forecast_reasons
from ml.blend import blended, blended_contributions
from ml.boosted_trees import BoostedTrees
from ml.design_matrix import BOOSTED, LOGISTIC, boosted_matrix, logistic_matrix
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows, rows_of_mappings
from ml.forecaster_protocol import Forecast
from ml.logistic_regression import LogisticModel
from ml.no_check_in_forecast import NoCheckInForecast
from ml.noise_regression import NOISE_FEATURES, NoiseRegression
from ml.owner_confidence import OwnerWeight
from ml.score_interval import intervals

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

FORMAT = 2
TREES_FILE, MODEL_FILE = "trees.ubj", "model.json"
FEATURE_LISTS = {"boosted": BOOSTED, "logistic_columns": LOGISTIC, "noise_features": NOISE_FEATURES}
MIN_SHARE = 1e-6  # of key results without check-ins; a share of 0 has no log-odds


class IncompatibleModel(PermanentError):
    """The registered model was trained on features that differ from those that this code reads. Train a new model."""


@dataclass(frozen=True)
class ForecastModel:
    """Forecasts key results from their feature rows.

    `weight` (0-1) is the weight of the noise regression. `scale_factor` is multiplied with the scale of final scores.
    `trained_until` is the last day of the newest cycle that the model was trained on. `outcomes_known_until` is the
    time at which the last training outcome became known (ISO 8601 with a time zone), or None for models that were saved
    before this field existed.
    """

    trees: BoostedTrees
    logistic: LogisticModel
    noise: NoiseRegression
    weight: float
    scale_factor: float
    owner: OwnerWeight
    no_check_in: NoCheckInForecast
    trained_until: str
    outcomes_known_until: str | None = None
    version: str = "unregistered"
    role: str = "model"

    def margins(self, rows: Rows) -> "NDArray[float64]":
        """Return the log-odds of each row. Every row must have a check-in."""
        added, shared = self.owner.effects(rows)
        paces = pace_margins(self.trees, self.logistic, rows)
        return self.owner.scale(rows) * blended(paces, self.noise.margins(rows), self.weight) + added + shared

    def probabilities(self, rows: Rows) -> "NDArray[float64]":
        """Return P(final score >= 0.7) for each row, with or without check-ins."""
        import numpy as np

        return np.where(_has_no_check_in(rows), self._shares(rows), 1.0 / (1.0 + np.exp(-self.margins(rows))))

    def intervals(self, rows: Rows) -> "tuple[NDArray[float64], NDArray[float64]]":
        """Return the bounds of the final score (0-1) for each row, with or without check-ins."""
        import numpy as np

        shares = np.clip(self._shares(rows), MIN_SHARE, 1.0 - MIN_SHARE)
        log_odds = np.where(_has_no_check_in(rows), np.log(shares / (1.0 - shares)), self.margins(rows))
        return intervals(log_odds, self.scale_factor * self.noise.scale(rows.numbers("noise_ratio")))

    def _shares(self, rows: Rows) -> "NDArray[float64]":
        import numpy as np

        return np.array(self.no_check_in.achieved)[self.no_check_in.step(rows.numbers("elapsed_ratio"))]

    def contributions(self, rows: Rows) -> Mapping[str, "NDArray[float64]"]:
        """Return the contributions to each row's log-odds, by feature and for `base`. They add up to `margins`."""
        scale, (added, shared) = self.owner.scale(rows), self.owner.effects(rows)
        paces = forecast_reasons.pace_contributions(
            self.trees.contributions(boosted_matrix(rows)), self.logistic.contributions(logistic_matrix(rows))
        )
        members = blended_contributions(paces, self.noise.contributions(rows), self.weight)
        scaled = {name: scale * contribution for name, contribution in members.items()}
        return {**scaled, "confidence": added, "base": scaled["base"] + shared}

    def forecast(self, records: Sequence[Mapping[str, object]]) -> list[Forecast]:
        """Return one forecast per feature row of ml.key_result_features, in the same order.

        Raises:
            PermanentError: a feature of a row is missing or not a finite number.
        """
        if not records:
            return []
        rows = rows_of_mappings(records, REQUIRED_FEATURES)
        probabilities, (low, high) = self.probabilities(rows), self.intervals(rows)
        margins, contributions = self.margins(rows), self.contributions(rows)
        reasons = forecast_reasons.reasons(records, contributions)
        forecasts = []
        for position, (record, texts) in enumerate(zip(records, reasons, strict=True)):
            probability, bounds = float(probabilities[position]), (float(low[position]), float(high[position]))
            if record["check_ins"]:
                margin = float(margins[position])
                effects = {name: float(effect[position]) for name, effect in contributions.items()}
                forecasts.append(Forecast(probability, *bounds, texts, absorb_rounding(effects, margin), margin))
            else:
                texts = forecast_reasons.no_check_in_reason(record, probability)  # noqa: PLW2901
                forecasts.append(Forecast(probability, *bounds, texts, *base_only(probability)))
        return forecasts

    def save(self, folder: Path) -> None:
        """Write both files to a folder, creating it if necessary. The same model always produces the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TREES_FILE).write_bytes(self.trees.ubj)
        numbers = {
            "format": FORMAT,
            **{name: list(features) for name, features in FEATURE_LISTS.items()},
            "trained_until": self.trained_until,
            "outcomes_known_until": self.outcomes_known_until,
            "logistic": asdict(self.logistic),
            "noise": asdict(self.noise),
            "weight": self.weight,
            "scale_factor": self.scale_factor,
            "owner": asdict(self.owner),
            "silence": asdict(self.no_check_in),
        }
        (folder / MODEL_FILE).write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def registered_as(self, version: str) -> "ForecastModel":
        """Return a copy of the model with its version number in the registry."""
        return replace(self, version=version)


def pace_margins(trees: BoostedTrees, logistic: LogisticModel, rows: Rows) -> "NDArray[float64]":
    """Return the log-odds based on the paces alone, averaged over the trees and the logistic regression."""
    return (trees.margins(boosted_matrix(rows)) + logistic.margins(logistic_matrix(rows))) / 2


def _has_no_check_in(rows: Rows) -> "NDArray[bool_]":
    import numpy as np

    return np.asarray(rows.numbers("check_ins") == 0, dtype=bool)


def absorb_rounding(effects: dict[str, float], margin: float) -> dict[str, float]:
    """Add to `base` what the 32-bit sums of XGBoost have rounded off, about 1e-7."""
    return {**effects, "base": effects["base"] + margin - math.fsum(effects.values())}


def base_only(probability: float) -> tuple[dict[str, float], float | None]:
    """Return the contributions and the margin of a key result without check-ins, which only has a base rate."""
    if not 0.0 < probability < 1.0:
        return {}, None
    margin = math.log(probability / (1.0 - probability))
    return {"base": margin}, margin


def load_model(folder: Path) -> ForecastModel:
    """Read a model that `save` wrote.

    Raises:
        PermanentError: the files are missing or damaged.
        IncompatibleModel: the model was trained on different features.
    """
    try:
        numbers = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        trees = (folder / TREES_FILE).read_bytes()
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"{folder} contains no readable model ({error}). Train again: `okr forecast train`."
        ) from error
    if numbers.get("format") != FORMAT:
        raise IncompatibleModel(
            f"The model in {folder} was saved by another release, in format {numbers.get('format')}. Expected format "
            f"{FORMAT}. Train again: `okr forecast train`."
        )
    saved, expected = [numbers.get(name) for name in FEATURE_LISTS], [list(each) for each in FEATURE_LISTS.values()]
    if saved != expected:
        raise IncompatibleModel(
            f"The model in {folder} was trained on different features ({saved}) from those that this code reads "
            f"({expected}). Train again: `okr forecast train`."
        )
    logistic, noise = numbers["logistic"], numbers["noise"]
    return ForecastModel(
        trees=BoostedTrees(trees),
        logistic=LogisticModel(tuple(logistic["coefficients"]), logistic["intercept"], tuple(logistic["centre"])),
        noise=NoiseRegression(tuple(noise["coefficients"]), noise["intercept"]),
        weight=numbers["weight"],
        scale_factor=numbers["scale_factor"],
        owner=OwnerWeight(**numbers["owner"]),
        no_check_in=NoCheckInForecast(tuple(numbers["silence"]["achieved"])),
        trained_until=numbers["trained_until"],
        outcomes_known_until=numbers.get("outcomes_known_until"),
    )
