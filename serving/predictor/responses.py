"""The response of POST /predict. The fast path (serving/fast_path/fast_predict.py) prepares its answers from it."""

from typing import Any

from serving.predictor.key_result_answers import NoForecast
from serving.predictor.prediction import Prediction
from serving.predictor.schemas import ModelName, PredictionItem, PredictResponse
from serving.predictor.service import Predicted

TOP_LEVEL_FIELDS = frozenset({"probability", "low", "high", "level"})


def response_of(predicted: Predicted, publication: dict[str, Any]) -> PredictResponse:
    """Return the response. `publication` contains the response's fields about the publication."""
    model = ModelName.model_validate(predicted.model, from_attributes=True)
    return PredictResponse(model=model, predictions=[item_of(answer) for answer in predicted.answers], **publication)


def item_of(answer: Prediction | NoForecast) -> PredictionItem:
    """Return the item of the response for one answer."""
    if isinstance(answer, NoForecast):
        return PredictionItem.model_validate(answer, from_attributes=True)
    version = answer.by.version
    return PredictionItem(
        key_result_id=answer.key_result_id,
        status="forecast",
        cycle_id=answer.cycle_id,
        prediction_id=answer.prediction_id,
        output={name: value for name, value in answer.output.items() if name not in TOP_LEVEL_FIELDS} or None,
        abstained=version.is_rule,
        reasons=list(answer.reasons),
        contributions=dict(answer.contributions) or None,
        margin=answer.margin,
        model_name=version.name,
        model_version=version.version,
        experiment=answer.by.experiment,
        arm=answer.by.arm,
        as_of=answer.as_of,
        known_at=answer.known_at,
        **{name: value for name, value in answer.output.items() if name in TOP_LEVEL_FIELDS},
    )
