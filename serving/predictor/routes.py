"""POST /predict."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from serving.auth.authorization import RequireToken
from serving.auth.roles import Identity, Right
from serving.predictor.key_result_answers import NoForecast
from serving.predictor.prediction import Prediction
from serving.predictor.schemas import ModelName, PredictBody, PredictionItem, PredictResponse
from serving.predictor.service import Predicted
from serving.schemas import publication_fields
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(tags=["predictor"], route_class=StrictRoute)
LIFTED = frozenset({"probability", "low", "high", "level"})
NO_PUBLICATION = {"publication_id": None, "data_as_of": None}

App = Annotated[Identity, Depends(RequireToken(Right.PREDICT))]


@router.post("/predict")
def predict(body: PredictBody, app: App, services: ServicesDep) -> PredictResponse:
    """Return the probability that each open key result is achieved by its deadline, with an interval and reasons.

    Send `key_result_ids` to use the features of the current publication. An unknown, closed, archived or ended key
    result gets a `status` and a `detail` instead of a forecast.

    Or send named `features`, one row or a list of rows. An unknown or missing feature is an error.
    """
    if body.key_result_ids is None:
        predicted = services.predictor.predict_features(body.rows, model_name=body.model, account=app.username)
        return _response(predicted, NO_PUBLICATION)
    found = services.predictor.predict(body.key_result_ids, model_name=body.model, account=app.username)
    return _response(found.value, publication_fields(found))


def _response(predicted: Predicted, publication: dict[str, Any]) -> PredictResponse:
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
        output={name: value for name, value in answer.output.items() if name not in LIFTED} or None,
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
        **{name: value for name, value in answer.output.items() if name in LIFTED},
    )
