"""POST /predict, GET /models, POST /models/{model_name}/load."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from serving.auth.authorization import RequireToken
from serving.auth.roles import Right
from serving.predictor.prediction import Prediction
from serving.predictor.schemas import (
    LoadBody,
    ModelName,
    ModelsAnswer,
    ModelVersion,
    PredictAnswer,
    PredictBody,
    PredictionItem,
)
from serving.predictor.service import NoForecast
from serving.schemas import publication_fields
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(tags=["predictor"], route_class=StrictRoute)


@router.post("/predict", dependencies=[Depends(RequireToken(Right.PREDICT))])
def predict(body: PredictBody, services: ServicesDep) -> PredictAnswer:
    """Forecast open key results: whether each will be achieved by its deadline, how sure that is, and why.

    What is unknown, closed, archived or over gets a `status` and a `detail` that say so instead of a forecast.
    """
    found = services.predictor.predict(body.key_result_ids)
    model = ModelName.model_validate(found.value.model, from_attributes=True)
    return PredictAnswer(
        model=model, predictions=[_item(answer) for answer in found.value.answers], **publication_fields(found)
    )


@router.get("/models", dependencies=[Depends(RequireToken(Right.PREDICT))])
def models(services: ServicesDep) -> ModelsAnswer:
    """List the registry's versions with aliases and metrics, and say which model answers."""
    return _models(services)


@router.post("/models/{model_name}/load", dependencies=[Depends(RequireToken(Right.ADMINISTER))])
def load(model_name: Annotated[str, Path(max_length=128)], body: LoadBody, services: ServicesDep) -> ModelsAnswer:
    """Load a version now instead of at the next look at the registry."""
    services.predictor.load(model_name, body.alias, body.version)
    return _models(services)


def _models(services: ServicesDep) -> ModelsAnswer:
    listed = services.predictor.models()
    return ModelsAnswer(
        answering=ModelName.model_validate(listed.answering, from_attributes=True),
        detail=listed.trouble,
        model_name=listed.model_name,
        versions=[ModelVersion.model_validate(version, from_attributes=True) for version in listed.versions],
    )


def _item(answer: Prediction | NoForecast) -> PredictionItem:
    if isinstance(answer, NoForecast):
        return PredictionItem.model_validate(answer, from_attributes=True)
    return PredictionItem.model_validate({"status": "forecast", **answer.as_fields()})
