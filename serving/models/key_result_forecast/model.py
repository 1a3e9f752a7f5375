"""The key-result forecast as a served model. Its code is in `ml`; the prior serves while no version is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from lakehouse.contracts.prediction import KEY_RESULT_ACHIEVED
from lakehouse.errors import PermanentError
from ml import model_registry
from ml.feature_mart import read_current
from ml.forecast_model import ForecastModel, load_model
from ml.forecaster_protocol import Forecast, Forecaster
from ml.golden_rows import read_golden_rows
from ml.prior_forecast import PriorForecaster
from ml.reference_distribution import read_reference
from ml.row_forecast import RowForecaster, row_forecaster
from ml.score_interval import INTERVAL_LEVEL
from serving.models.key_result_forecast.schemas import KeyResultFeatures, KeyResultOutput
from serving.models.served_model import Rule, Scored, ServedModel, Trained
from serving.publication_reader import PublishedReader, Row


@dataclass(frozen=True)
class ForecastScorer:
    """The batch function of a forecaster."""

    forecaster: Forecaster

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[Scored]:
        """Return one forecast per feature row."""
        if not rows:
            return []
        return [_scored(one) for one in self.forecaster.forecast(rows)]


@dataclass(frozen=True)
class RowScorer:
    """The function for single rows, with compiled trees."""

    forecaster: RowForecaster

    def score(self, row: Mapping[str, Any], explains: bool) -> Scored:
        """Return the forecast of one feature row."""
        return _scored(self.forecaster.forecast(row, explains=explains))


def _scored(one: Forecast) -> Scored:
    output = {"probability": one.probability, "low": one.low, "high": one.high, "level": INTERVAL_LEVEL}
    return Scored(output, one.reasons, one.contributions, one.margin)


def load(folder: Path, tags: Mapping[str, str]) -> Trained:
    """Load a version. The holdout model of a version has no digest, because only the served files are registered.

    Raises:
        PermanentError: the files are missing, damaged, have changed, or are incompatible with this code.
    """
    model = load_model(folder)
    registered = tags.get(model_registry.DIGEST)
    if folder.name == model_registry.SERVED and model_registry.digest(model) != registered:
        raise PermanentError(
            f"The files in {folder} changed after they were registered. Train again: `okr forecast train`."
        )
    golden_rows = [row for row, _ in read_golden_rows(folder)[1]]
    single = row_forecaster(model, golden_rows)
    return Trained(
        ForecastScorer(model),
        date.fromisoformat(model.trained_until),
        _known_until(model),
        read_reference(folder),
        score_one=None if single is None else RowScorer(single).score,
    )


def _known_until(model: ForecastModel) -> datetime:
    """Return when the model's last training outcome became known; for older models, the day after the last cycle."""
    if model.outcomes_known_until is not None:
        return datetime.fromisoformat(model.outcomes_known_until)
    return datetime.combine(date.fromisoformat(model.trained_until) + timedelta(days=1), time(), tzinfo=UTC)


def key_result_rows(reader: PublishedReader, key_result_ids: Sequence[str] | None) -> list[Row]:
    """Return the newest feature row of each key result and cycle."""
    return read_current(reader.connection, key_result_ids)


MODEL = ServedModel(
    name=model_registry.MODEL_NAME,
    description=model_registry.DESCRIPTION,
    input=KeyResultFeatures,
    output=KeyResultOutput,
    load=load,
    rule=Rule(PriorForecaster.role, "1", ForecastScorer(PriorForecaster())),
    outcome_type=KEY_RESULT_ACHIEVED,
    key_result_rows=key_result_rows,
)
