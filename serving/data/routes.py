"""The data API under /v1: single key results and users, system health and the publication; `lists` has the lists."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from serving.auth.authorization import RequireToken
from serving.auth.roles import Identity, Right
from serving.auth.visibility import parameters
from serving.data.lists import examples
from serving.data.lists.documentation import described
from serving.data.lists.list_query import LARGEST_PAGE, PageCursor
from serving.data.lists.queries import HostMetricsQuery
from serving.data.schemas import ActivityResponse, KeyResultResponse, PublicationResponse, SystemHealthResponse
from serving.http.strict_requests import StrictRoute
from serving.publication_holds import hold_summary
from serving.schemas import Id, publication_fields
from serving.services import ServicesDep

router = APIRouter(prefix="/v1", tags=["data"], route_class=StrictRoute)

DataReader = Annotated[Identity, Depends(RequireToken(Right.READ_DATA))]
CanReadData = Depends(RequireToken(Right.READ_DATA))
CanReadSystem = Depends(RequireToken(Right.READ_SYSTEM))
KeyResultId = Annotated[Id, Path(description="The key result's id in its source system.")]


Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Maximum number of rows in the response.")]


@router.get(
    "/publication",
    summary="Get the publication",
    dependencies=[CanReadData],
    responses=described(examples.PUBLICATION, 401, 403, 503),
)
def publication(services: ServicesDep) -> PublicationResponse:
    """Return the publication from which all responses are read and, if publications are on hold, the reason."""
    response = PublicationResponse.model_validate(services.data.publication(), from_attributes=True)
    if hold := hold_summary(services.publication_holds.current()):
        response.held_since, response.hold_reason = hold
    return response


@router.get(
    "/key-results/{key_result_id:entity_id}",
    summary="Get a key result",
    responses=described(examples.ONE_KEY_RESULT, 401, 403, 404, 422, 503),
)
def key_result(key_result_id: KeyResultId, services: ServicesDep, identity: DataReader) -> KeyResultResponse:
    """Return a key result in its current cycle and in each of its other cycles."""
    found = services.data.key_result(key_result_id, parameters(identity))
    content = {"key_result": found.value[0], "cycles": found.value}
    return KeyResultResponse.model_validate({**content, **publication_fields(found)})


@router.get(
    "/users/{user_id:path}/activity",
    summary="Get a user's activity",
    responses=described(examples.ACTIVITY, 401, 403, 404, 422, 503),
)
def activity_of_user(
    user_id: Annotated[Id, Path()],
    services: ServicesDep,
    identity: DataReader,
    days: Annotated[int, Query(ge=1, le=366)] = 90,
) -> ActivityResponse:
    """Return daily counts of a user's activity. Users are not scored."""
    found = services.data.user_activity(user_id, days, parameters(identity))
    return ActivityResponse.model_validate({"user_id": user_id, "days": found.value, **publication_fields(found)})


@router.get(
    "/system-health",
    summary="Get the health of hosts and pipelines",
    dependencies=[CanReadSystem],
    responses=described(examples.SYSTEM_HEALTH, 401, 403, 410, 422, 503),
)
def system_health(
    services: ServicesDep,
    hours: Annotated[int, Query(ge=1, le=168)] = 24,
    limit: Limit = LARGEST_PAGE,
    cursor: PageCursor = None,
) -> SystemHealthResponse:
    """Return a page of hourly host metrics, the newest pipeline runs and, if Redis is available, live figures.

    `GET /v1/host-metrics` and `GET /v1/pipeline-runs` list all metrics and runs, with filters and exports.
    """
    found = services.data.system_health(HostMetricsQuery(hours=hours, limit=limit, cursor=cursor))
    content = {
        "host_metrics": found.value.host_metrics.rows,
        "next_cursor": found.value.host_metrics.next_cursor,
        "pipeline_runs": found.value.pipeline_runs,
        "live": services.live.read(),
    }
    return SystemHealthResponse.model_validate({**content, **publication_fields(found)})
