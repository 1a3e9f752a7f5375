"""The data API under /v1."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from serving.auth.access import Caller
from serving.auth.identity import Right
from serving.data.names import KeyResultFilter
from serving.data.schemas import (
    ActivityAnswer,
    KeyResultAnswer,
    KeyResultsAnswer,
    KeyResultsQuery,
    ProgressAnswer,
    ProgressQuery,
    PublicationAnswer,
    SystemHealthAnswer,
)
from serving.holds import since_because
from serving.schemas import Id, stamp
from serving.services import Served
from serving.strict import StrictRoute

router = APIRouter(prefix="/v1", tags=["data"], route_class=StrictRoute)

Reading = Depends(Caller(Right.READ_DATA))
KeyResultId = Annotated[Id, Path(description="The key result's natural key.")]


@router.get("/publication", dependencies=[Reading])
def publication(services: Served) -> PublicationAnswer:
    """Tell what every answer is read from now, and what holds back a newer publication where something does."""
    answer = PublicationAnswer.model_validate(services.data.publication(), from_attributes=True)
    if held := since_because(services.holds.now()):
        answer.held_since, answer.held_because = held
    return answer


@router.get("/key-results/{key_result_id:path}", dependencies=[Reading])
def key_result(key_result_id: KeyResultId, services: Served) -> KeyResultAnswer:
    """Return one key result as it stands, and how it stood in its other cycles."""
    found = services.data.key_result(key_result_id)
    return KeyResultAnswer.model_validate({"key_result": found.value[0], "cycles": found.value, **stamp(found)})


@router.get("/key-results", dependencies=[Reading])
def key_results(query: Annotated[KeyResultsQuery, Query()], services: Served) -> KeyResultsAnswer:
    """List key results in the order of their ids, a page at a time.

    Each stands in its current cycle, or in the cycles asked for. Archived ones are left out unless they are asked for.
    An unknown team or cycle is an error.
    """
    wanted = KeyResultFilter(query.team, query.cycle, list(query.status), query.archived)
    found = services.data.key_results(wanted, query.limit, query.cursor)
    page = {"key_results": found.value.rows, "next_cursor": found.value.next_cursor}
    return KeyResultsAnswer.model_validate({**page, **stamp(found)})


@router.get("/okr-progress", dependencies=[Reading])
def okr_progress(query: Annotated[ProgressQuery, Query()], services: Served) -> ProgressAnswer:
    """Return progress and attainment per team and cycle, newest cycle first."""
    found = services.data.okr_progress(KeyResultFilter(query.team, query.cycle))
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
