"""Bodies and answers of /v1. Column meanings are those of the marts (the catalog describes each)."""

from datetime import date, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, StringConstraints

from lakehouse.scoring import ACHIEVED_SCORE
from serving.schemas import Name, PublishedResponse, Query

Status = Literal[
    "on_track",
    "at_risk",
    "off_track",
    "no_check_in",
    "awaiting_close",
    "not_started",
    "no_cycle",
    "achieved",
    "missed",
    "archived",
]


Names = Annotated[list[Name], Field(max_length=100)]


class ProgressQuery(Query):
    """Which teams and cycles; what is left out does not filter, what is repeated means any of its values."""

    team: Names = Field(default_factory=list, description="Ids or names of teams.")
    cycle: Names = Field(default_factory=list, description="Ids or names of cycles.")


class KeyResultsQuery(ProgressQuery):
    """Which key results to list; what is left out does not filter, what is repeated means any of its values."""

    status: Annotated[list[Status], Field(max_length=20)] = Field(default_factory=list)
    archived: bool = Field(False, description="List archived ones, too; status=archived lists them alone.")
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        None, description="`next_cursor` of the page before."
    )


class KeyResult(BaseModel):
    """A key result in one of its cycles, as the publication has it. Ratios are shares (1 = 100 %)."""

    key_result_id: str
    organisation: str | None
    team_id: str | None
    team_name: str | None
    team_label: str | None = Field(description="Name that distinguishes the team from others of the same name.")
    cycle_id: str | None
    cycle_name: str | None
    cycle_start: date | None
    cycle_end: date | None = Field(description="Last day, inclusive, UTC.")
    objective_id: str | None
    objective_title: str | None
    title: str
    unit: str
    direction: str
    baseline: float
    target: float
    weight: float
    latest_value: float | None = Field(description="Value of the latest check-in, in `unit`.")
    latest_check_in_at: datetime | None
    latest_confidence: float | None = Field(description="The owner's own confidence, 0-1.")
    check_in_count: int
    days_since_check_in: int | None
    progress_ratio: float | None = Field(description="(value - baseline) / (target - baseline), without bounds.")
    score_ratio: float | None = Field(description="Progress held to 0-1.")
    expected_progress_ratio: float | None = Field(description="Share of the cycle that is over.")
    pace_ratio: float | None = Field(description="Progress by expected progress; 1 is right on the line.")
    status: Status
    status_since: date | None
    opened_at: datetime | None = Field(description="When it came into the cycle, UTC.")
    ended_at: datetime | None = Field(description="When it left it for another one, UTC; null while it is there.")
    is_current_cycle: bool
    is_archived: bool = Field(description="Archived ones count nowhere.")
    archived_at: datetime | None
    archived_reason: str | None = Field(description="What was archived: key_result, objective or team.")
    is_closed: bool
    final_at: datetime | None
    final_value: float | None
    final_score: float | None
    is_achieved: bool | None = Field(description=f"Final score of at least {ACHIEVED_SCORE}; null while open.")
    missing_to_close: str | None = Field(
        description="What is missing to close it, where its cycle is over; null where nothing is."
    )


class KeyResultResponse(PublishedResponse):
    """One key result: where it is now, and each cycle that it counts in, the current one first."""

    key_result: KeyResult
    cycles: list[KeyResult]


class KeyResultsResponse(PublishedResponse):
    """A page of key results, in the order of their ids: each in its current cycle, or in the cycles asked for."""

    key_results: list[KeyResult]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class TeamProgress(BaseModel):
    """A team in a cycle. Counts are of key results; ratios are shares."""

    team_id: str | None
    team_name: str | None
    team_label: str | None = Field(description="Name that distinguishes the team from others of the same name.")
    organisation: str | None
    cycle_id: str | None
    cycle_name: str | None
    cycle_start: date | None
    cycle_end: date | None
    key_result_count: int
    closed_count: int
    achieved_count: int
    missed_count: int
    on_track_count: int
    at_risk_count: int
    off_track_count: int
    no_check_in_count: int
    awaiting_close_count: int
    not_started_count: int
    no_cycle_count: int = Field(description="Key results whose objective or cycle is not defined.")
    attainment_ratio: float | None = Field(description="Weighted mean final score of the closed key results.")
    achieved_ratio: float | None = Field(description="Share of the closed key results that were achieved.")
    on_track_ratio: float | None = Field(description="Share of the running key results that are on track.")
    score_to_date_ratio: float | None = Field(description="Weighted mean score so far, of all key results.")


class ProgressResponse(PublishedResponse):
    """Progress per team and cycle, newest cycle first."""

    teams: list[TeamProgress]


class ActivityDay(BaseModel):
    """What a user did on a day: counts, never a score."""

    day: date
    page_view_count: int
    check_in_count: int
    key_result_count: int = Field(description="Key results that the user checked in on that day.")


class ActivityResponse(PublishedResponse):
    """A user's activity by day, newest day first; days without any are left out."""

    user_id: str
    days: list[ActivityDay]


class HostMetric(BaseModel):
    """A metric of a host in an hour, in `unit`."""

    host: str
    metric: str
    unit: str
    hour_at: datetime
    sample_count: int
    min_value: float
    mean_value: float
    p95_value: float
    max_value: float


class PipelineRun(BaseModel):
    """A run of a pipeline and how it ended."""

    pipeline: str
    run_id: str
    started_at: datetime
    finished_at: datetime
    duration_s: float
    step_count: int
    failed_step_count: int
    state: str
    first_failed_step: str | None
    failure_message: str | None


T = TypeVar("T")


class Figure(BaseModel, Generic[T]):
    """A live figure and its own time."""

    value: T | None = Field(description="Null when nobody has confirmed it for 30 seconds, e.g. the consumer is dead.")
    as_of: datetime | None = Field(description="When it was last known to hold, UTC; null where it never was.")


class Live(BaseModel):
    """What happens now, by the events that the state consumer has read: of no publication."""

    active_users: Figure[int] = Field(description="Users seen in the last 15 minutes.")
    check_ins_per_minute: Figure[float] = Field(description="Mean of the last five minutes.")
    progress_by_cycle: Figure[dict[str, float]] = Field(
        description="Mean score (0-1) of each cycle's key results by their weights; 0 for one without a check-in."
    )
    consumer_lag: dict[str, Figure[int]] = Field(
        description="Events not yet read, by consumer group, of the topics that it reads."
    )


class SystemHealthResponse(PublishedResponse):
    """How the hosts and the pipelines fare, by the events that they send."""

    host_metrics: list[HostMetric]
    pipeline_runs: list[PipelineRun]
    live: Live | None = Field(description="Seconds old, and newer than `data_as_of`; null while Redis is away.")


class PublicationResponse(PublishedResponse):
    """The publication that every answer is read from now."""

    published_at: datetime
    model_version: str | None = Field(description="The champion when it was published; null where none was.")
    held_since: datetime | None = Field(
        None, description="Since when nothing newer is published although it could be; null when nothing is held."
    )
    hold_reason: str | None = Field(None, description="The gate and rule, or the rollback, that holds it back.")
