"""POST /predict."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from serving.auth.authorization import RequireToken
from serving.auth.roles import Identity, Right
from serving.http.strict_requests import StrictRoute
from serving.limits.rate_limit_enforcement import charge
from serving.predictor.responses import response_of
from serving.predictor.schemas import PredictBody, PredictResponse
from serving.schemas import publication_fields
from serving.services import ServicesDep

router = APIRouter(tags=["predictor"], route_class=StrictRoute)
NO_PUBLICATION = {"publication_id": None, "data_as_of": None}

App = Annotated[Identity, Depends(RequireToken(Right.PREDICT))]


@router.post("/predict", responses={404: {"description": "There is no such model."}})
def predict(body: PredictBody, app: App, services: ServicesDep, request: Request) -> PredictResponse:
    """Return the probability that each open key result is achieved by its deadline, with an interval and reasons.

    Send `key_result_ids` to use the features of the current publication. A key result that is unknown, closed or
    archived, or whose cycle is not running, gets a `status` and a `detail` instead of a forecast.

    Or send named `features`, one row or a list of rows. An unknown or missing feature is an error. With
    `"reasons": false`, such predictions have no reasons and no contributions, and take less time.

    In the rate limit, every 10 key results or rows count as one request.
    """
    charge(request.scope, app, len(body.key_result_ids or body.rows))
    if body.key_result_ids is None:
        predicted = services.prediction.predictor.predict_features(
            body.rows, model_name=body.model, account=app.username, explains=body.reasons
        )
        return response_of(predicted, NO_PUBLICATION)
    hidden = services.auth.visible_key_results.hidden(app, body.key_result_ids)
    found = services.prediction.predictor.predict(
        body.key_result_ids, model_name=body.model, account=app.username, hidden=hidden
    )
    return response_of(found.value, publication_fields(found))
