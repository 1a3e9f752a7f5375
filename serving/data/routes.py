"""The data API under /v1."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from serving.auth.access import Caller
from serving.auth.identity import Identity, Right
from serving.data.check_ins import NewCheckIn
from serving.data.schemas import (
    ActivityAnswer,
    CheckIn,
    CheckInAccepted,
    KeyResultAnswer,
    KeyResultsAnswer,
    KeyResultsQuery,
    ProgressAnswer,
    PublicationAnswer,
    SystemHealthAnswer,
)
from serving.data.service import KeyResultFilter
from serving.schemas import Id, stamp
from serving.services import Served

router = APIRouter(prefix="/v1", tags=["data"])

Reading = Depends(Caller(Right.READ_DATA))
Recorder = Annotated[Identity, Depends(Caller(Right.RECORD))]
KeyResultId = Annotated[Id, Path(description="The key result's natural key.")]
TeamFilter = Annotated[Id | None, Query(description="A team's id or name.")]
CycleFilter = Annotated[Id | None, Query(description="A cycle's id.")]


@router.get("/publication", dependencies=[Reading])
def publication(services: Served) -> PublicationAnswer:
    """Tell what every answer is read from now."""
    now = services.data.publication()
    return PublicationAnswer.model_validate(now, from_attributes=True)


@router.get("/key-results/{key_result_id:path}", dependencies=[Reading])
def key_result(key_result_id: KeyResultId, services: Served) -> KeyResultAnswer:
    """Return one key result as it stands."""
    found = services.data.key_result(key_result_id)
    return KeyResultAnswer.model_validate({"key_result": found.value, **stamp(found)})


@router.get("/key-results", dependencies=[Reading])
def key_results(query: Annotated[KeyResultsQuery, Query()], services: Served) -> KeyResultsAnswer:
    """List key results in the order of their ids, a page at a time."""
    wanted = KeyResultFilter(query.team, query.cycle, query.status)
    found = services.data.key_results(wanted, query.limit, query.cursor)
    page = {"key_results": found.value.rows, "next_cursor": found.value.next_cursor}
    return KeyResultsAnswer.model_validate({**page, **stamp(found)})


@router.get("/okr-progress", dependencies=[Reading])
def okr_progress(services: Served, team: TeamFilter = None, cycle: CycleFilter = None) -> ProgressAnswer:
    """Return progress and attainment per team and cycle, newest cycle first."""
    found = services.data.okr_progress(team, cycle)
    return ProgressAnswer.model_validate({"teams": found.value, **stamp(found)})


@router.get("/users/{user_id:path}/activity", dependencies=[Reading])
def user_activity(
    user_id: Annotated[Id, Path()], services: Served, days: Annotated[int, Query(ge=1, le=366)] = 90
) -> ActivityAnswer:
    """Return what a user did by day: counts, no score."""
    found = services.data.user_activity(user_id, days)
    return ActivityAnswer.model_validate({"user_id": user_id, "days": found.value, **stamp(found)})


@router.get("/system-health", dependencies=[Reading])
def system_health(services: Served, hours: Annotated[int, Query(ge=1, le=168)] = 24) -> SystemHealthAnswer:
    """Return host metrics by the hour, the newest pipeline runs and, while Redis is there, what happens now."""
    found = services.data.system_health(hours)
    rooms = {"host_metrics": found.value.host_metrics, "pipeline_runs": found.value.pipeline_runs}
    return SystemHealthAnswer.model_validate({**rooms, "live": services.live.read(), **stamp(found)})


@router.post("/check-ins", status_code=202)
def record_check_in(check_in: CheckIn, identity: Recorder, services: Served) -> CheckInAccepted:
    """Record a check-in of now. A broker that is away gets it later: `in_log` is false then.

    503 when it could not be kept; repeat it then with the `check_in_id` that the answer names.
    """
    accepted = services.check_ins.record(NewCheckIn(**check_in.model_dump()), identity)
    return CheckInAccepted(
        event_id=str(accepted.event_id),
        check_in_id=accepted.check_in_id,
        key_result_id=check_in.key_result_id,
        occurred_at=accepted.occurred_at,
        in_log=accepted.is_in_log,
    )
