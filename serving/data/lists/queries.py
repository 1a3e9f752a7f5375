"""The query parameters of each list."""

from typing import Annotated

from pydantic import Field

from serving.data.lists.list_query import DaysQuery, IncrementalQuery, ListQuery, Names
from serving.data.schemas import Status


class TeamAndCycleQuery(ListQuery):
    """Filters by team, cycle and organisation."""

    team: Names = Field([], description="Ids or names of teams.")
    cycle: Names = Field([], description="Ids or names of cycles.")
    organisation: Names = Field([], description="Names (or ids, if unnamed) of organisations.")


class KeyResultsQuery(IncrementalQuery):
    """Filters of key results."""

    team: Names = Field([], description="Ids or names of teams.")
    cycle: Names = Field([], description="Ids or names of cycles.")
    organisation: Names = Field([], description="Names (or ids, if unnamed) of organisations.")
    objective: Names = Field([], description="Ids of objectives.")
    status: Annotated[list[Status], Field(max_length=20)] = Field([])
    archived: bool = Field(False, description="Include archived key results. status=archived lists only archived ones.")


class OrganisationScorecardsQuery(ListQuery):
    """Filters of organisation scorecards."""

    organisation: Names = Field([], description="Names (or ids, if unnamed) of organisations.")
    cycle: Names = Field([], description="Ids or names of cycles.")


class TeamsQuery(IncrementalQuery):
    """Filters of teams."""

    team: Names = Field([], description="Ids or names of teams.")
    organisation: Names = Field([], description="Ids or names of organisations.")
    archived: bool = Field(False, description="Include dissolved teams.")


class UsersQuery(IncrementalQuery):
    """Filters of users."""

    user: Names = Field([], description="Ids of users.")
    team: Names = Field([], description="Ids or names of teams.")
    deactivated: bool = Field(False, description="Include deactivated users.")


class CyclesQuery(IncrementalQuery):
    """Filters of cycles."""

    cycle: Names = Field([], description="Ids or names of cycles.")
    organisation: Names = Field([], description="Ids of organisations.")


class ObjectivesQuery(IncrementalQuery):
    """Filters of objectives."""

    objective: Names = Field([], description="Ids of objectives.")
    team: Names = Field([], description="Ids or names of teams.")
    cycle: Names = Field([], description="Ids or names of cycles.")
    archived: bool = Field(False, description="Include archived objectives.")


class CheckInsQuery(IncrementalQuery, DaysQuery):
    """Filters of check-ins. `from_day` and `to_day` refer to `checked_in_at`."""

    key_result: Names = Field([], description="Ids of key results.")
    team: Names = Field([], description="Ids or names of teams.")
    cycle: Names = Field([], description="Ids or names of cycles.")
    user: Names = Field([], description="Ids of users.")


class ProgressDaysQuery(DaysQuery):
    """Filters of the daily progress of key results."""

    key_result: Names = Field([], description="Ids of key results.")
    team: Names = Field([], description="Ids or names of teams.")
    cycle: Names = Field([], description="Ids or names of cycles.")


class UserActivityQuery(DaysQuery):
    """Filters of the daily activity of users."""

    user: Names = Field([], description="Ids of users.")
    team: Names = Field([], description="Ids or current names of teams.")


class HostMetricsQuery(DaysQuery):
    """Filters of hourly host metrics. `from_day` and `to_day` refer to `hour_at`."""

    host: Names = Field([], description="Names of hosts.")
    metric: Names = Field([], description="Names of metrics, e.g. cpu_busy.")
    hours: Annotated[int, Field(ge=1, le=8_784)] | None = Field(
        None, description="Only the last hours (this number), up to the newest sample."
    )


class PipelineRunsQuery(IncrementalQuery):
    """Filters of pipeline runs."""

    pipeline: Names = Field([], description="Names of pipelines.")
    state: Names = Field([], description="success or failed.")
