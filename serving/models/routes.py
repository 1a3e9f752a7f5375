"""GET /models, POST /models/{model_name}/load."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from serving.auth.actor import Actor
from serving.auth.authorization import ClientDep, RequireToken
from serving.auth.roles import Identity, Right
from serving.experiments.experiment import Experiment
from serving.http.strict_requests import StrictRoute
from serving.models.catalog import DEFAULT_MODEL
from serving.models.features import json_schema
from serving.models.listing import ListedModel
from serving.models.schemas import (
    Directive,
    LoadBody,
    LoadResponse,
    Model,
    ModelsResponse,
    ModelVersion,
    RunningArm,
    RunningExperiment,
    Worker,
)
from serving.predictor.schemas import ModelName
from serving.services import ServicesDep

router = APIRouter(tags=["predictor"], route_class=StrictRoute)

App = Annotated[Identity, Depends(RequireToken(Right.PREDICT))]
Admin = Annotated[Identity, Depends(RequireToken(Right.ADMINISTER))]
ACCEPTED = 202


@router.get("/models")
def models(app: App, services: ServicesDep) -> ModelsResponse:
    """List the served models: versions with aliases and metrics, the running experiment, and what workers have loaded.

    For the key-result forecast, the active version and all versions are also listed at the top level.
    """
    listed = services.prediction.listing.models()
    return ModelsResponse(**_listed(listed, shows_system=app.may(Right.READ_SYSTEM)))


@router.post("/models/{model_name}/load", responses={ACCEPTED: {"description": "Not all workers have loaded it yet."}})
def load(  # noqa: PLR0913, PLR0917 -- the parts of the request
    model_name: Annotated[str, Path(max_length=128)],
    body: LoadBody,
    admin: Admin,
    client: ClientDep,
    services: ServicesDep,
    http: Response,
) -> LoadResponse:
    """Make a version active on all workers of all hosts, or follow an alias.

    Each worker checks the version's golden rows before it serves, and keeps its old version if it cannot load the new
    one. The status is 202 instead of 200 if a worker has not loaded it within 30 s; that worker keeps trying.
    """
    operator = Actor(admin.username, client.address, admin)
    outcome = services.admin.models.load(model_name, body.alias or body.version or "", operator)
    http.status_code = 200 if outcome.is_loaded else ACCEPTED
    return LoadResponse(
        **_listed(services.prediction.listing.models(), shows_system=True),
        is_loaded=outcome.is_loaded,
        directive=Directive.model_validate(outcome.directive, from_attributes=True),
        loading=[Worker.model_validate(worker) for worker in outcome.workers],
    )


def _listed(found: list[ListedModel], *, shows_system: bool) -> dict[str, Any]:
    described = [_model(listed, shows_system=shows_system) for listed in found]
    default = next(model for model in described if model.name == DEFAULT_MODEL)
    return {
        "active": default.active,
        "detail": default.detail,
        "model_name": default.name,
        "versions": default.versions,
        "models": described,
    }


def _model(listed: ListedModel, *, shows_system: bool) -> Model:
    """Describe a model. Hosts, processes, errors and administrators are shown only to holders of `read-system`."""
    model, state = listed.model, listed.state
    directive = Directive.model_validate(state.directive, from_attributes=True)
    if not shows_system:
        directive.created_by = None
    return Model(
        name=model.name,
        description=model.description,
        takes_key_result_ids=model.key_result_rows is not None,
        input=json_schema(model.input),
        output=json_schema(model.output),
        active=None if state.active is None else ModelName.model_validate(state.active, from_attributes=True),
        detail=state.problem if shows_system else None,
        directive=directive,
        experiment=None if state.experiment is None else _experiment(state.experiment),
        versions=[ModelVersion.model_validate(version, from_attributes=True) for version in listed.versions],
        workers=[Worker.model_validate(worker) for worker in listed.workers] if shows_system else [],
    )


def _experiment(experiment: Experiment) -> RunningExperiment:
    arms = [
        RunningArm(
            name=arm.name,
            reference=arm.reference,
            share=arm.share,
            is_shadow=arm.is_shadow,
            stop_reason=experiment.stopped_arms.get(arm.name),
        )
        for arm in experiment.arms
    ]
    return RunningExperiment(name=experiment.name, unit=experiment.unit, started_at=experiment.started_at, arms=arms)
