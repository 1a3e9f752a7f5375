"""The routes of the lists. They share one convention, which docs/serving.md describes."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from serving.data.lists import definitions as lists
from serving.data.lists import examples, queries
from serving.data.lists.documentation import documented
from serving.data.lists.responses import ReadList, ReadSystemList
from serving.http.strict_requests import StrictRoute

router = APIRouter(prefix="/v1", tags=["data"], route_class=StrictRoute)


@router.get("/key-results", **documented(lists.KEY_RESULTS, examples.KEY_RESULT))
def key_results(query: Annotated[queries.KeyResultsQuery, Query()], read: ReadList) -> Response:
    """List key results.

    A key result is listed in its current cycle. If cycles are requested, it is listed in each requested cycle instead.
    Archived key results are listed only on request.
    """
    return read(lists.KEY_RESULTS, query)


@router.get("/okr-progress", **documented(lists.OKR_PROGRESS, examples.TEAM_PROGRESS))
def okr_progress(query: Annotated[queries.TeamAndCycleQuery, Query()], read: ReadList) -> Response:
    """List progress and attainment by team and cycle, newest cycle first."""
    return read(lists.OKR_PROGRESS, query)


@router.get("/team-scorecards", **documented(lists.TEAM_SCORECARDS, examples.TEAM_SCORECARD))
def team_scorecards(query: Annotated[queries.TeamAndCycleQuery, Query()], read: ReadList) -> Response:
    """List team scorecards: progress, attainment and the calibration of the stated confidence, by team and cycle."""
    return read(lists.TEAM_SCORECARDS, query)


@router.get("/organisation-scorecards", **documented(lists.ORGANISATION_SCORECARDS, examples.ORGANISATION_SCORECARD))
def organisation_scorecards(query: Annotated[queries.OrganisationScorecardsQuery, Query()], read: ReadList) -> Response:
    """List organisation scorecards: progress and attainment by organisation and cycle."""
    return read(lists.ORGANISATION_SCORECARDS, query)


@router.get("/teams", **documented(lists.TEAMS, examples.TEAM))
def teams(query: Annotated[queries.TeamsQuery, Query()], read: ReadList) -> Response:
    """List teams in their newest definitions. Dissolved teams are listed only on request."""
    return read(lists.TEAMS, query)


@router.get("/users", **documented(lists.USERS, examples.USER))
def users(query: Annotated[queries.UsersQuery, Query()], read: ReadList) -> Response:
    """List users in their newest definitions, without e-mail addresses.

    Deactivated users are listed only on request.
    """
    return read(lists.USERS, query)


@router.get("/cycles", **documented(lists.CYCLES, examples.CYCLE))
def cycles(query: Annotated[queries.CyclesQuery, Query()], read: ReadList) -> Response:
    """List cycles in their newest definitions."""
    return read(lists.CYCLES, query)


@router.get("/objectives", **documented(lists.OBJECTIVES, examples.OBJECTIVE))
def objectives(query: Annotated[queries.ObjectivesQuery, Query()], read: ReadList) -> Response:
    """List objectives in their newest definitions. Archived objectives are listed only on request."""
    return read(lists.OBJECTIVES, query)


@router.get("/check-ins", **documented(lists.CHECK_INS, examples.CHECK_IN))
def check_ins(query: Annotated[queries.CheckInsQuery, Query()], read: ReadList) -> Response:
    """List check-ins in their newest versions."""
    return read(lists.CHECK_INS, query)


@router.get("/progress-days", **documented(lists.PROGRESS_DAYS, examples.PROGRESS_DAY))
def progress_days(query: Annotated[queries.ProgressDaysQuery, Query()], read: ReadList) -> Response:
    """List the progress of key results day by day."""
    return read(lists.PROGRESS_DAYS, query)


@router.get("/user-activity", **documented(lists.USER_ACTIVITY, examples.USER_ACTIVITY_DAY))
def user_activity(query: Annotated[queries.UserActivityQuery, Query()], read: ReadList) -> Response:
    """List daily counts of users' activity. Users are not scored."""
    return read(lists.USER_ACTIVITY, query)


@router.get("/check-in-hygiene", **documented(lists.CHECK_IN_HYGIENE, examples.HYGIENE_WEEK))
def check_in_hygiene(query: Annotated[queries.TeamAndCycleQuery, Query()], read: ReadList) -> Response:
    """List how regularly teams checked in, by team, cycle and week."""
    return read(lists.CHECK_IN_HYGIENE, query)


@router.get("/host-metrics", **documented(lists.HOST_METRICS, examples.HOST_METRIC))
def host_metrics(query: Annotated[queries.HostMetricsQuery, Query()], read: ReadSystemList) -> Response:
    """List hourly metrics of hosts, newest hour first."""
    return read(lists.HOST_METRICS, query)


@router.get("/pipeline-runs", **documented(lists.PIPELINE_RUNS, examples.PIPELINE_RUN))
def pipeline_runs(query: Annotated[queries.PipelineRunsQuery, Query()], read: ReadSystemList) -> Response:
    """List pipeline runs and their results."""
    return read(lists.PIPELINE_RUNS, query)
