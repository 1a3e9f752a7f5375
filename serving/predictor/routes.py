"""POST /predict, GET /models, POST /models/{model_name}/load."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from serving.auth.authorization import RequireToken
from serving.auth.roles import Right
from serving.predictor.prediction import Prediction
from serving.predictor.schemas import (
    LoadBody,
    ModelName,
    ModelsResponse,
    ModelVersion,
    PredictBody,
    PredictionItem,
    PredictResponse,
)
from serving.predictor.service import NoForecast
from serving.schemas import publication_fields
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(tags=["predictor"], route_class=StrictRoute)


@router.post("/predict", dependencies=[Depends(RequireToken(Right.PREDICT))])
def predict(body: PredictBody, services: ServicesDep) -> PredictResponse:
    """Return the probability that each open key result is achieved by its deadline, with an interval and reasons.

    An unknown, closed, archived or ended key result gets a `status` and a `detail` instead of a forecast.
    """
    found = services.predictor.predict(body.key_result_ids)
    model = ModelName.model_validate(found.value.model, from_attributes=True)
    return PredictResponse(
        model=model, predictions=[_item(answer) for answer in found.value.answers], **publication_fields(found)
    )


@router.get("/models", dependencies=[Depends(RequireToken(Right.PREDICT))])
def models(services: ServicesDep) -> ModelsResponse:
    """List the registered versions with their aliases and metrics, and the active model."""
    return _models(services)


@router.post("/models/{model_name}/load", dependencies=[Depends(RequireToken(Right.ADMINISTER))])
def load(model_name: Annotated[str, Path(max_length=128)], body: LoadBody, services: ServicesDep) -> ModelsResponse:
    """Load a version immediately."""
    services.predictor.load(model_name, body.alias, body.version)
    return _models(services)


def _models(services: ServicesDep) -> ModelsResponse:
    listed = services.predictor.models()
    return ModelsResponse(
        active=ModelName.model_validate(listed.active, from_attributes=True),
        detail=listed.problem,
        model_name=listed.model_name,
        versions=[ModelVersion.model_validate(version, from_attributes=True) for version in listed.versions],
    )


def _item(answer: Prediction | NoForecast) -> PredictionItem:
    if isinstance(answer, NoForecast):
        return PredictionItem.model_validate(answer, from_attributes=True)
    return PredictionItem.model_validate({"status": "forecast", **answer.as_fields()})
