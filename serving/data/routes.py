"""The data API under /v1: key results, team progress, user activity, system health and the publication."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from serving.auth.authorization import RequireToken
from serving.auth.roles import Right
from serving.data.filters import KeyResultFilter
from serving.data.schemas import (
    LARGEST_PAGE,
    ActivityResponse,
    KeyResultResponse,
    KeyResultsQuery,
    KeyResultsResponse,
    PageCursor,
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

CanReadData = Depends(RequireToken(Right.READ_DATA))
KeyResultId = Annotated[Id, Path(description="The key result's id in its source system.")]


Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Maximum number of rows in the response.")]


@router.get("/publication", dependencies=[CanReadData])
def publication(services: ServicesDep) -> PublicationResponse:
    """Return the publication from which all responses are read and, if publications are on hold, the reason."""
    response = PublicationResponse.model_validate(services.data.publication(), from_attributes=True)
    if hold := hold_summary(services.publication_holds.current()):
        response.held_since, response.hold_reason = hold
    return response


@router.get("/key-results/{key_result_id:path}", dependencies=[CanReadData])
def key_result(key_result_id: KeyResultId, services: ServicesDep) -> KeyResultResponse:
    """Return a key result in its current cycle and in each of its other cycles."""
    found = services.data.key_result(key_result_id)
    content = {"key_result": found.value[0], "cycles": found.value}
    return KeyResultResponse.model_validate({**content, **publication_fields(found)})


@router.get("/key-results", dependencies=[CanReadData])
def key_results(query: Annotated[KeyResultsQuery, Query()], services: ServicesDep) -> KeyResultsResponse:
    """List key results ordered by id, one page per request.

    A key result is listed in its current cycle. If cycles are requested, it is listed in each requested cycle instead.
    Archived key results are listed only on request. An unknown team or cycle is an error.
    """
    wanted = KeyResultFilter(query.team, query.cycle, list(query.status), query.archived)
    found = services.data.key_results(wanted, query.limit, query.cursor)
    page = {"key_results": found.value.rows, "next_cursor": found.value.next_cursor}
    return KeyResultsResponse.model_validate({**page, **publication_fields(found)})


@router.get("/okr-progress", dependencies=[CanReadData])
def okr_progress(query: Annotated[ProgressQuery, Query()], services: ServicesDep) -> ProgressResponse:
    """Return progress and attainment by team and cycle, newest cycle first, one page per request."""
    found = services.data.okr_progress(KeyResultFilter(query.team, query.cycle), query.limit, query.cursor)
    page = {"teams": found.value.rows, "next_cursor": found.value.next_cursor}
    return ProgressResponse.model_validate({**page, **publication_fields(found)})


@router.get("/users/{user_id:path}/activity", dependencies=[CanReadData])
def user_activity(
    user_id: Annotated[Id, Path()], services: ServicesDep, days: Annotated[int, Query(ge=1, le=366)] = 90
) -> ActivityResponse:
    """Return daily counts of a user's activity. Users are not scored."""
    found = services.data.user_activity(user_id, days)
    return ActivityResponse.model_validate({"user_id": user_id, "days": found.value, **publication_fields(found)})


@router.get("/system-health", dependencies=[Depends(RequireToken(Right.READ_SYSTEM))])
def system_health(
    services: ServicesDep,
    hours: Annotated[int, Query(ge=1, le=168)] = 24,
    limit: Limit = LARGEST_PAGE,
    cursor: PageCursor = None,
) -> SystemHealthResponse:
    """Return a page of hourly host metrics, the newest pipeline runs and, if Redis is available, live figures."""
    found = services.data.system_health(hours, limit, cursor)
    content = {
        "host_metrics": found.value.host_metrics.rows,
        "next_cursor": found.value.host_metrics.next_cursor,
        "pipeline_runs": found.value.pipeline_runs,
        "live": services.live.read(),
    }
    return SystemHealthResponse.model_validate({**content, **publication_fields(found)})
