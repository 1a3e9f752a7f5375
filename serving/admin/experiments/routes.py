"""/admin/experiments."""

from typing import Annotated, Any

import msgspec
from fastapi import Body, Depends, Path

from serving.admin.experiments.schemas import (
    EXAMPLE,
    EXAMPLE_BODY,
    ExperimentBody,
    ExperimentRecord,
    ExperimentResponse,
    ExperimentsResponse,
    StopBody,
)
from serving.admin.routing import IsOperator, Limit, OperatorDep, PageCursor, admin_router, described
from serving.experiments.experiment import Arm, Experiment, Guardrails
from serving.schemas import Id
from serving.services import ServicesDep

router = admin_router("experiments")
Name = Annotated[Id, Path(description="The name of the experiment.")]
DRAFT = {**EXAMPLE, "state": "draft", "started_at": None}
STOPPED = {**EXAMPLE, "state": "stopped", "stopped_at": "2026-11-27T12:00:00Z", "stop_reason": "it was better"}
CALLS = {"arm": "new", "calls": 1_200, "failed_calls": 0, "slow_calls": 3}


@router.get(
    "/experiments",
    dependencies=[Depends(IsOperator)],
    **described("List experiments", {"experiments": [EXAMPLE], "next_cursor": None}),
)
def experiments(services: ServicesDep, limit: Limit = 100, cursor: PageCursor = None) -> ExperimentsResponse:
    """List experiments, newest first."""
    page = services.admin.experiments.page(limit, cursor)
    return ExperimentsResponse(experiments=[_record(each) for each in page.items], next_cursor=page.next_cursor)


@router.post("/experiments", **described("Create an experiment", DRAFT, 404, 409, status=201))
def create(
    body: Annotated[ExperimentBody, Body(examples=[EXAMPLE_BODY])], services: ServicesDep, operator: OperatorDep
) -> ExperimentRecord:
    """Define an experiment, without starting it. Its name is unique, so a repeated request is a conflict."""
    arms = [msgspec.convert(arm.model_dump(), Arm) for arm in body.arms]
    created = services.admin.experiments.create(
        body.name, arms, operator, unit=body.unit, model_name=body.model_name, salt=body.salt,
        guardrails=msgspec.convert(body.guardrails.model_dump(), Guardrails),
    )  # fmt: skip
    return _record(created)


@router.get(
    "/experiments/{name}",
    dependencies=[Depends(IsOperator)],
    **described("Get an experiment", {**EXAMPLE, "recent_calls": [CALLS]}, 404),
)
def experiment(name: Name, services: ServicesDep) -> ExperimentResponse:
    """Return an experiment, and the calls of its arms on all workers within the guardrails' window."""
    found, calls = services.admin.experiments.get(name)
    return ExperimentResponse.model_validate(_fields(found) | {"recent_calls": [vars(each) for each in calls]})


@router.post("/experiments/{name}/start", **described("Start an experiment", EXAMPLE, 404, 409))
def start(name: Name, services: ServicesDep, operator: OperatorDep) -> ExperimentRecord:
    """Start an experiment. All its versions must exist. Every worker follows within about a second."""
    return _record(services.admin.experiments.start(name, operator))


@router.post("/experiments/{name}/stop", **described("Stop an experiment", STOPPED, 404))
def stop(name: Name, body: StopBody, services: ServicesDep, operator: OperatorDep) -> ExperimentRecord:
    """Stop an experiment permanently. Stopping it again changes nothing."""
    return _record(services.admin.experiments.stop(name, body.reason, operator))


def _record(found: Experiment) -> ExperimentRecord:
    return ExperimentRecord.model_validate(_fields(found))


def _fields(found: Experiment) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(found, builtin_types=(type(found.created_at),))
    return fields
