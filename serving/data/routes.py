"""The data API under /v1."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from serving.auth.authorization import RequireToken
from serving.auth.roles import Right
from serving.data.filters import KeyResultFilter
from serving.data.schemas import (
    ActivityResponse,
    KeyResultResponse,
    KeyResultsQuery,
    KeyResultsResponse,
    ProgressQuery,
    ProgressResponse,
    PublicationResponse,
    SystemHealthResponse,
)
from serving.publication_holds import hold_summary
from serving.schemas import Id, publication_fields
from serving.services import ServicesDep
from serving.strict_requests import StrictRoute

router = APIRouter(prefix="/v1", tags=["data"], route_class=StrictRoute)

Reading = Depends(RequireToken(Right.READ_DATA))
KeyResultId = Annotated[Id, Path(description="The key result's natural key.")]


@router.get("/publication", dependencies=[Reading])
def publication(services: ServicesDep) -> PublicationResponse:
    """Tell what every answer is read from now, and what holds back a newer publication where something does."""
    answer = PublicationResponse.model_validate(services.data.publication(), from_attributes=True)
    if held := hold_summary(services.publication_holds.current()):
        answer.held_since, answer.hold_reason = held
    return answer


@router.get("/key-results/{key_result_id:path}", dependencies=[Reading])
def key_result(key_result_id: KeyResultId, services: ServicesDep) -> KeyResultResponse:
    """Return one key result as it stands, and how it stood in its other cycles."""
    found = services.data.key_result(key_result_id)
    return KeyResultResponse.model_validate(
        {"key_result": found.value[0], "cycles": found.value, **publication_fields(found)}
    )


@router.get("/key-results", dependencies=[Reading])
def key_results(query: Annotated[KeyResultsQuery, Query()], services: ServicesDep) -> KeyResultsResponse:
    """List key results in the order of their ids, a page at a time.

    Each stands in its current cycle, or in the cycles asked for. Archived ones are left out unless they are asked for.
    An unknown team or cycle is an error.
    """
    wanted = KeyResultFilter(query.team, query.cycle, list(query.status), query.archived)
    found = services.data.key_results(wanted, query.limit, query.cursor)
    page = {"key_results": found.value.rows, "next_cursor": found.value.next_cursor}
    return KeyResultsResponse.model_validate({**page, **publication_fields(found)})


@router.get("/okr-progress", dependencies=[Reading])
def okr_progress(query: Annotated[ProgressQuery, Query()], services: ServicesDep) -> ProgressResponse:
    """Return progress and attainment per team and cycle, newest cycle first."""
    found = services.data.okr_progress(KeyResultFilter(query.team, query.cycle))
    return ProgressResponse.model_validate({"teams": found.value, **publication_fields(found)})


@router.get("/users/{user_id:path}/activity", dependencies=[Reading])
def user_activity(
    user_id: Annotated[Id, Path()], services: ServicesDep, days: Annotated[int, Query(ge=1, le=366)] = 90
) -> ActivityResponse:
    """Return what a user did by day: counts, no score."""
    found = services.data.user_activity(user_id, days)
    return ActivityResponse.model_validate({"user_id": user_id, "days": found.value, **publication_fields(found)})


@router.get("/system-health", dependencies=[Reading])
def system_health(services: ServicesDep, hours: Annotated[int, Query(ge=1, le=168)] = 24) -> SystemHealthResponse:
    """Return host metrics by the hour, the newest pipeline runs and, while Redis is there, what happens now."""
    found = services.data.system_health(hours)
    rooms = {"host_metrics": found.value.host_metrics, "pipeline_runs": found.value.pipeline_runs}
    return SystemHealthResponse.model_validate({**rooms, "live": services.live.read(), **publication_fields(found)})
