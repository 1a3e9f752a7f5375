"""Predictions (outputs of models, each with an id), and the events that record them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from ingestion.contract_validation import EncodedEvent, encode
from lakehouse.contracts.prediction import KEY_RESULT, REQUEST, ModelPredictionServed, ModelPredictionShadowed
from lakehouse.ids import uuid7
from serving.experiments.versions_of_arms import Assigned
from serving.http.request_context import event_attributes
from serving.models.served_model import Scored
from serving.predictor.key_result_answers import CachedForecast

SOURCE = "okr-api"


@dataclass(frozen=True)
class Prediction:
    """An output of a model: served, or made by a shadow arm. `by` is the version that predicted, with its arm, if any.

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


def served_events(predictions: Sequence[Prediction]) -> list[EncodedEvent]:
    """Return the events that record predictions served now, for named features, by one version.

    Raises:
        ContractViolation: a field is out of bounds.
    """
    if not predictions:
        return []
    first = served_event(predictions[0])
    form, attributes = EventForm(first), event_attributes()
    others = [form.event(each, attributes) for each in predictions[1:]]
    return [first, *others]


class EventForm:
    """Creates the events of predictions for named features by one version.

    The events differ only in ids, time, output and reasons. The output is checked against the model's schema, so only
    the first event is validated against its contract, which takes 40 us.
    """

    def __init__(self, first: EncodedEvent) -> None:
        self._topic = first.topic
        self._envelope: dict[str, Any] = msgspec.json.decode(first.value)
        self._data = self._envelope.pop("data")
        for name in event_attributes():
            self._envelope.pop(name, None)

    def event(self, prediction: Prediction, attributes: Mapping[str, str]) -> EncodedEvent:
        """Return the event of a prediction that is served now."""
        subject = prediction.prediction_id
        ids = {"prediction_id": subject, "subject_id": subject}
        data = {**self._data, **ids, "output": prediction.output, "reasons": prediction.reasons}
        now = {"id": uuid7(), "subject": subject, "time": datetime.now(UTC)}
        value = msgspec.json.encode({**self._envelope, **now, **attributes, "data": data})
        return EncodedEvent(self._topic, subject.encode(), value)


def shadowed_event(prediction: Prediction, served: Prediction, attributes: Mapping[str, str]) -> EncodedEvent:
    """Return the event that records the prediction of a shadow arm, made now for a request that `served` answered.

    `attributes` are the extension attributes of the request (`serving.http.request_context`).

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
