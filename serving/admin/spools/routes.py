"""/admin/spools and /admin/prediction-log."""

import base64
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import StringConstraints

from serving.admin.routing import IsOperator, OperatorDep, admin_router, described
from serving.admin.spools.schemas import (
    EXAMPLE,
    EXAMPLE_LOG,
    EXAMPLE_REJECTED,
    HOST,
    PredictionLogResponse,
    RejectedEventRecord,
    RejectedEventsResponse,
    RequeueResponse,
    SpoolRecord,
    SpoolsResponse,
)
from serving.admin.spools.service import RejectedEvent
from serving.services import ServicesDep

router = admin_router("spools")
Source = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")], Path(description="The source.")
]
PAGE = {"host": HOST, "spools": [EXAMPLE]}
REJECTED = {"host": HOST, "source": "okr-api", "rejected_events": [EXAMPLE_REJECTED]}
REQUEUED = {"host": HOST, "source": "okr-api", "requeued": 1}


@router.get("/spools", dependencies=[Depends(IsOperator)], **described("List spools", PAGE))
def spools(services: ServicesDep) -> SpoolsResponse:
    """List the spools of this host: for each source, the events that wait for the broker or were rejected by it."""
    states = services.admin.spools.states()
    found = [SpoolRecord(source=source, **vars(state)) for source, state in states.items()]
    return SpoolsResponse(host=services.admin.spools.host, spools=found)


@router.get(
    "/spools/{source}/rejected",
    dependencies=[Depends(IsOperator)],
    **described("List rejected events of a spool", REJECTED, 404),
)
def rejected(
    source: Source,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of events.")] = 20,
) -> RejectedEventsResponse:
    """List events that the broker rejected permanently, oldest first."""
    found = [_rejected(each) for each in services.admin.spools.rejected(source, limit)]
    return RejectedEventsResponse(host=services.admin.spools.host, source=source, rejected_events=found)


@router.post("/spools/{source}/requeue", **described("Requeue rejected events", REQUEUED, 404))
def requeue(source: Source, services: ServicesDep, operator: OperatorDep) -> RequeueResponse:
    """Return rejected events to the queue at their old positions. The source's process sends them within seconds."""
    requeued = services.admin.spools.requeue(source, operator)
    return RequeueResponse(host=services.admin.spools.host, source=source, requeued=requeued)


@router.get(
    "/prediction-log",
    dependencies=[Depends(IsOperator)],
    **described("Get the state of the prediction log", EXAMPLE_LOG),
)
def prediction_log(services: ServicesDep) -> PredictionLogResponse:
    """Return the state of this host's prediction log, and the counts of the worker that answers."""
    spools = services.admin.spools
    return PredictionLogResponse.model_validate({"host": spools.host, **spools.prediction_log()})


def _rejected(found: RejectedEvent) -> RejectedEventRecord:
    event, key = found.event, found.event.key
    return RejectedEventRecord(
        topic=event.topic,
        position=event.position,
        reason=found.reason,
        key=None if key is None else base64.b64encode(key).decode(),
        value=base64.b64encode(event.value).decode(),
    )
