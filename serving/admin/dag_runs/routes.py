"""/admin/dags: the functions of `okr dag`."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Body, Depends, Path, Query
from pydantic import StringConstraints

from serving.admin.dag_runs.schemas import (
    EXAMPLE_DAG,
    EXAMPLE_RUN,
    EXAMPLE_STARTED,
    EXAMPLE_WATCHED,
    DagRecord,
    DagsResponse,
    RunRecord,
    RunsResponse,
    StartBody,
    StartedRunResponse,
    WatchedRunResponse,
)
from serving.admin.routing import IsOperator, OperatorDep, admin_router, described
from serving.dag_runs.service import StartedRun
from serving.http.idempotency import IdempotencyKey
from serving.services import ServicesDep

router = admin_router("DAG runs")
DagId = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$")], Path(description="The id of the DAG.")
]
RunId = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.~:+-]{0,249}$")],
    Path(description="The id of the run."),
]


@router.get("/dags", dependencies=[Depends(IsOperator)], **described("List DAGs", {"dags": [EXAMPLE_DAG]}, 501))
def dags(
    services: ServicesDep,
    runs: Annotated[int, Query(ge=0, le=20, description="Newest runs of each DAG in the response.")] = 3,
) -> DagsResponse:
    """List the DAGs with their newest runs."""
    found = services.admin.dag_runs.dags(runs)
    return DagsResponse(dags=[DagRecord.model_validate(each, from_attributes=True) for each in found])


@router.get(
    "/dags/{dag_id}/runs",
    dependencies=[Depends(IsOperator)],
    **described("List runs of a DAG", {"runs": [EXAMPLE_RUN]}, 404, 501),
)
def runs(
    dag_id: DagId,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of runs.")] = 20,
) -> RunsResponse:
    """List the newest runs of a DAG, newest first."""
    found = services.admin.dag_runs.runs(dag_id, limit)
    return RunsResponse(runs=[RunRecord.model_validate(each, from_attributes=True) for each in found])


@router.post("/dags/{dag_id}/runs", **described("Start a run of a DAG", EXAMPLE_STARTED, 404, 409, 501, status=202))
def start(
    dag_id: DagId,
    body: Annotated[StartBody, Body(examples=[{"conf": {"accept_raw_batch": True}}])],
    services: ServicesDep,
    operator: OperatorDep,
    idempotency_key: IdempotencyKey = None,
) -> StartedRunResponse:
    """Start a run. It is queued until the previous run of the DAG has ended; follow it at `status_url`.

    With an `Idempotency-Key`, a repeated request starts nothing and returns the first run.
    """
    started = services.admin.dag_run_operations.start(dag_id, body.conf, operator, idempotency_key)
    return started_response(started)


@router.get(
    "/dags/{dag_id}/runs/{run_id}",
    dependencies=[Depends(IsOperator)],
    **described("Get a run of a DAG", EXAMPLE_WATCHED, 404, 501),
)
def run(dag_id: DagId, run_id: RunId, services: ServicesDep) -> WatchedRunResponse:
    """Return the state of a run and of its tasks, and why tasks have failed."""
    watched = services.admin.dag_runs.watch(dag_id, run_id)
    tasks = [vars(task) for task in watched.tasks]
    return WatchedRunResponse.model_validate(vars(watched.run) | {"tasks": tasks})


def started_response(started: StartedRun) -> StartedRunResponse:
    """Return the response to a request that starts a run."""
    run = started.run
    return StartedRunResponse(
        run=RunRecord.model_validate(run, from_attributes=True),
        is_new=started.is_new,
        status_url=f"/admin/dags/{run.dag_id}/runs/{quote(run.run_id, safe=':')}",
    )
