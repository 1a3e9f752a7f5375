"""Predictions, which are served outputs of a model with an id, and the events that record them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingestion.contract_validation import EncodedEvent, encode
from lakehouse.contracts.prediction import KEY_RESULT, REQUEST, ModelPredictionServed, ModelPredictionShadowed
from lakehouse.ids import uuid7
from serving.experiments.arms import Assigned
from serving.models.served_model import Scored
from serving.predictor.key_result_answers import CachedForecast
from serving.request_context import event_attributes

SOURCE = "okr-api"


@dataclass(frozen=True)
class Prediction:
    """An output of a model, as returned in one response. `by` is the version that predicted, with its arm, if any.

    `key_result_id`, `cycle_id`, `as_of` and `known_at` are None if the features came with the request.
    """

    by: Assigned
    output: Mapping[str, Any]
    reasons: tuple[str, ...]
    contributions: Mapping[str, float]
    margin: float | None
    key_result_id: str | None = None
    cycle_id: str | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    publication_id: int | None = None
    prediction_id: str = field(default_factory=lambda: str(uuid7()))


def of_key_result(key_result_id: str, forecast: CachedForecast, by: Assigned, publication_id: int) -> Prediction:
    """Return the prediction for a key result, from its forecast in a publication."""
    return Prediction(
        by=by,
        output=forecast.output,
        reasons=forecast.reasons,
        contributions=forecast.contributions,
        margin=forecast.margin,
        key_result_id=key_result_id,
        cycle_id=forecast.cycle_id,
        as_of=forecast.as_of,
        known_at=forecast.known_at,
        publication_id=publication_id,
    )


def of_features(scored: Scored, by: Assigned) -> Prediction:
    """Return the prediction for features that came with the request."""
    return Prediction(by, scored.output, scored.reasons, scored.contributions, scored.margin)


def served_event(prediction: Prediction) -> EncodedEvent:
    """Return the event that records a prediction served now.

    Raises:
        ContractViolation: a field is out of bounds.
    """
    data = ModelPredictionServed(**_fields(prediction))
    return encode(data, at=datetime.now(UTC), source=SOURCE, attributes=event_attributes())


def shadowed_event(prediction: Prediction, served: Prediction, attributes: Mapping[str, str]) -> EncodedEvent:
    """Return the event that records the prediction of a shadow arm, made now for a request that `served` answered.

    `attributes` are those of the request (`serving.request_context`).

    Raises:
        ContractViolation: a field is out of bounds.
    """
    data = ModelPredictionShadowed(served_prediction_id=served.prediction_id, **_fields(prediction))
    return encode(data, at=datetime.now(UTC), source=SOURCE, attributes=attributes)


def _fields(prediction: Prediction) -> dict[str, Any]:
    version = prediction.by.version
    return {
        "prediction_id": prediction.prediction_id,
        "subject_type": REQUEST if prediction.key_result_id is None else KEY_RESULT,
        "subject_id": prediction.key_result_id or prediction.prediction_id,
        "model_name": version.name,
        "model_version": version.version,
        "role": version.role,
        "output": dict(prediction.output),
        "outcome_type": version.model.outcome_type,
        "abstained": version.is_rule,
        "experiment": prediction.by.experiment,
        "arm": prediction.by.arm,
        "reasons": list(prediction.reasons),
        "as_of": prediction.as_of,
        "known_at": prediction.known_at,
        "publication_id": prediction.publication_id,
        "cycle_id": prediction.cycle_id,
        "trained_until": version.trained.outcomes_known_until,
    }
