"""Predictions, which are served forecasts with an id, and the events that record them."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.contract_validation import EncodedEvent, encode
from lakehouse.contracts.prediction import PredictionServed
from serving.predictor.active_model import ModelInUse
from serving.publication_reader import Publication
from serving.request_context import event_attributes

SOURCE = "okr-api"


@dataclass(frozen=True)
class Prediction:
    """A forecast of one key result in its current cycle, as returned in one response.

    `level` is the share of final scores (0-1) that intervals from `low` to `high` should contain.
    """

    key_result_id: str
    prediction_id: str
    as_of: datetime
    probability: float
    low: float
    high: float
    level: float
    reasons: tuple[str, ...]
    cycle_id: str | None

    def as_fields(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def served_event(prediction: Prediction, model: ModelInUse, publication: Publication) -> EncodedEvent:
    """Return the event that records a prediction served now.

    Raises:
        ContractViolation: a field is out of bounds.
    """
    data = PredictionServed(
        prediction_id=prediction.prediction_id,
        key_result_id=prediction.key_result_id,
        as_of=prediction.as_of,
        probability=prediction.probability,
        low=prediction.low,
        high=prediction.high,
        model_name=model.name,
        model_version=model.version,
        role=model.role,
        publication_id=publication.publication_id,
        reasons=list(prediction.reasons),
        cycle_id=prediction.cycle_id,
        trained_until=model.outcomes_known_until,
    )
    return encode(data, at=datetime.now(UTC), source=SOURCE, attributes=event_attributes())
