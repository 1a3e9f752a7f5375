"""/admin/models: the functions of `okr forecast promote` and `okr forecast rollback`."""

from typing import Annotated, Any, Literal

from fastapi import Body as RequestBody
from fastapi import Depends, Path
from pydantic import BaseModel, Field, StringConstraints

from serving.admin.dag_runs.routes import RunId, started_response
from serving.admin.dag_runs.schemas import EXAMPLE_RUN, EXAMPLE_STARTED, RunRecord, StartedRunResponse
from serving.admin.routing import IsOperator, OperatorDep, admin_router, described
from serving.http.idempotency import IdempotencyKey
from serving.schemas import Body
from serving.services import ServicesDep

router = admin_router("models")
ModelPath = Annotated[str, Path(max_length=128, description="The name of the model.")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
PROMOTION_RUN: dict[str, Any] = {**EXAMPLE_RUN, "dag_id": "model_promotion_dag", "conf": {"version": "7"}}
PROMOTION = {
    "run": {**PROMOTION_RUN, "state": "success", "ended_at": "2026-11-20T12:00:09Z"}, "outcome": "promoted",
    "reason": "It beats the prior and the champion on the held-out cycle "
    "(Brier 0.1084; prior 0.1506; champion 0.1121).",
}  # fmt: skip
STARTED = {
    **EXAMPLE_STARTED, "run": {**PROMOTION_RUN, "state": "queued", "started_at": None},
    "status_url": f"/admin/models/okr_key_result_forecast/promotions/{PROMOTION_RUN['run_id']}",
}  # fmt: skip


class ChampionsResponse(BaseModel):
    """The champion, and the earlier ones to which it can be rolled back, newest first."""

    current: str
    earlier: list[str]


class ModelRollbackBody(Body):
    """The earlier champion that should become the champion again."""

    to: Version


class ModelRollbackResponse(BaseModel):
    """The champion after the request, and the one before it."""

    champion: str
    champion_before: str
    is_changed: bool = Field(description="False if the version already was the champion.")


class PromotionBody(Body):
    """The version to evaluate: its number, or the alias `challenger` for the newest version."""

    version: Literal["challenger"] | Version = "challenger"


class PromotionResponse(BaseModel):
    """A run of the promotion gate, and its decision."""

    run: RunRecord
    outcome: str | None = Field(
        description="promoted: it is the champion; kept: the champion remains; withdrawn: the prior serves "
        "instead of the champion; rejected: the prior still serves; null: not decided."
    )
    reason: str | None = Field(description="The reason for the decision, or why the run failed.")


@router.get(
    "/models/{model_name}/champions",
    dependencies=[Depends(IsOperator)],
    **described("List the champions of a model", {"current": "7", "earlier": ["5", "2"]}, 404, 409),
)
def champions(model_name: ModelPath, services: ServicesDep) -> ChampionsResponse:
    """Return the champion and the earlier champions. `GET /models` lists all versions with their metrics."""
    found = services.admin.models.champions(model_name)
    return ChampionsResponse(current=found.current, earlier=list(found.earlier))


@router.post(
    "/models/{model_name}/rollback",
    **described(
        "Roll a model back", {"champion": "5", "champion_before": "7", "is_changed": True}, 404, 409
    ),
)  # fmt: skip
def roll_back(
    model_name: ModelPath,
    body: Annotated[ModelRollbackBody, RequestBody(examples=[{"to": "5"}])],
    services: ServicesDep,
    operator: OperatorDep,
) -> ModelRollbackResponse:
    """Make an earlier champion the champion again. Workers that follow the champion serve it within about ten seconds.

    The request names the version, so it can be repeated. The promotion gate never again promotes a version that was
    rolled back.
    """
    result = services.admin.models.roll_back(model_name, body.to, operator)
    return ModelRollbackResponse(
        champion=result.champion, champion_before=result.before.current, is_changed=result.is_changed
    )


@router.post("/models/{model_name}/promote", **described("Promote a model", STARTED, 404, 409, 501, status=202))
def promote(
    model_name: ModelPath,
    body: Annotated[PromotionBody, RequestBody(examples=[{"version": "7"}])],
    services: ServicesDep,
    operator: OperatorDep,
    idempotency_key: IdempotencyKey = None,
) -> StartedRunResponse:
    """Start the promotion gate, which makes the version the champion if it is better than the champion.

    The decision is at `status_url` within a minute. With an `Idempotency-Key`, a repeated request starts nothing and
    returns the first run.
    """
    started = started_response(services.admin.models.promote(model_name, body.version, operator, idempotency_key))
    return started.model_copy(update={"status_url": f"/admin/models/{model_name}/promotions/{started.run.run_id}"})


@router.get(
    "/models/{model_name}/promotions/{run_id}",
    dependencies=[Depends(IsOperator)],
    **described("Get a promotion", PROMOTION, 404, 501),
)
def promotion(model_name: ModelPath, run_id: RunId, services: ServicesDep) -> PromotionResponse:
    """Return the state of a run of the promotion gate, and its decision."""
    found = services.admin.models.promotion(model_name, run_id)
    return PromotionResponse(
        run=RunRecord.model_validate(found.run, from_attributes=True), outcome=found.outcome, reason=found.reason
    )
