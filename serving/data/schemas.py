"""Queries and responses of /v1. Fields have the meaning of the mart columns with the same names (see the dbt docs)."""

from datetime import date, datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from lakehouse.achieved_score import ACHIEVED_SCORE
from serving.schemas import PublishedResponse

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


class KeyResult(BaseModel):
    """A key result in one of its cycles. Ratios are shares (1 = 100 %)."""

    key_result_id: str
    organisation: str | None
    team_id: str | None
    team_name: str | None
    team_label: str | None = Field(description="The team's name, made unique among teams with the same name.")
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
    latest_confidence: float | None = Field(description="The owner's confidence, 0-1.")
    check_in_count: int
    days_since_check_in: int | None
    progress_ratio: float | None = Field(description="(value - baseline) / (target - baseline), not clipped.")
    score_ratio: float | None = Field(description="Progress clipped to 0-1.")
    expected_progress_ratio: float | None = Field(description="Share of the cycle that has elapsed.")
    pace_ratio: float | None = Field(
        description="Progress divided by expected progress; 1 is a straight line from baseline to target."
    )
    status: Status
    status_since: date | None
    opened_at: datetime | None = Field(description="Time at which the key result entered the cycle, UTC.")
    ended_at: datetime | None = Field(
        description="Time at which the key result moved to another cycle, UTC; null if it has not."
    )
    is_current_cycle: bool
    is_archived: bool = Field(description="Archived key results are excluded from all counts.")
    archived_at: datetime | None
    archived_reason: str | None = Field(description="The archived entity: key_result, objective or team.")
    is_closed: bool
    final_at: datetime | None
    final_value: float | None
    final_score: float | None
    is_achieved: bool | None = Field(description=f"Final score of at least {ACHIEVED_SCORE}; null while open.")
    missing_to_close: str | None = Field(
        description="What is still needed to close it after the end of its cycle; null if nothing is needed."
    )


class KeyResultResponse(PublishedResponse):
    """A key result in its current cycle, and a list of all cycles in which it counts, the current one first."""

    key_result: KeyResult
    cycles: list[KeyResult]


class ListedKeyResult(KeyResult):
    """A key result in one of its cycles, with the time of its last change."""

    changed_at: datetime = Field(
        description="Time of the last change by an event or of the status, UTC (docs/serving.md); see `updated_since`."
    )


class TeamProgress(BaseModel):
    """A team in a cycle. Counts are numbers of key results; ratios are shares."""

    team_id: str | None
    team_name: str | None
    team_label: str | None = Field(description="The team's name, made unique among teams with the same name.")
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
    score_to_date_ratio: float | None = Field(description="Weighted mean of the current scores of all key results.")


class TeamScorecard(TeamProgress):
    """A team in a cycle, with the calibration of its stated confidence."""

    calibration_key_result_count: int | None = Field(
        description="Closed key results for which a confidence was stated; null if fewer than five."
    )
    overconfidence_ratio: float | None = Field(
        description="Mean stated confidence minus the share of achieved key results, -1 to 1. Above 0: overconfident."
    )


class OrganisationScorecard(BaseModel):
    """An organisation in a cycle, over the key results of all its teams. Ratios are shares."""

    organisation_id: str | None
    organisation: str | None
    cycle_id: str | None
    cycle_name: str | None
    cycle_start: date | None
    cycle_end: date | None
    team_count: int
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
    no_cycle_count: int
    attainment_ratio: float | None
    achieved_ratio: float | None
    on_track_ratio: float | None
    score_to_date_ratio: float | None


class ActivityDay(BaseModel):
    """Counts of a user's activity on one day. Users are not scored."""

    day: date
    page_view_count: int
    check_in_count: int
    key_result_count: int = Field(description="Number of key results for which the user checked in on that day.")


class ActivityResponse(PublishedResponse):
    """A user's daily activity, newest day first; days without activity are omitted."""

    user_id: str
    days: list[ActivityDay]


class HostMetric(BaseModel):
    """A host's metric in one hour, in `unit`."""

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
    """A pipeline run and its result."""

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


class ListedPipelineRun(PipelineRun):
    """A pipeline run with the time of its last change."""

    changed_at: datetime = Field(description="Time at which its last step finished, UTC.")


class Figure(BaseModel, Generic[T]):
    """A live figure and its time."""

    value: T | None = Field(
        description="Null if the state consumer has not confirmed it for 30 seconds, e.g. because the consumer is down."
    )
    as_of: datetime | None = Field(description="Time of the last confirmation, UTC; null if there has been none.")


class Live(BaseModel):
    """Live figures from the events that the state consumer has read. They are independent of publications."""

    active_users: Figure[int] = Field(description="Users active in the last 15 minutes.")
    check_ins_per_minute: Figure[float] = Field(description="Mean over the last five minutes.")
    progress_by_cycle: Figure[dict[str, float]] = Field(
        description="Weighted mean score (0-1) of each cycle's key results. Key results without a check-in count as 0."
    )
    consumer_lag: dict[str, Figure[int]] = Field(
        description="Number of unread events in the topics of each consumer group."
    )


class SystemHealthResponse(PublishedResponse):
    """The state of hosts and pipelines, according to their events. Host metrics are paged, newest hour first."""

    host_metrics: list[HostMetric]
    next_cursor: str | None = Field(description="Value of `cursor` for the next page; null on the last page.")
    pipeline_runs: list[PipelineRun] = Field(description="The 20 newest runs.")
    live: Live | None = Field(description="Only seconds old, so newer than `data_as_of`; null if Redis is unavailable.")


class PublicationResponse(PublishedResponse):
    """The publication from which all responses are currently read."""

    published_at: datetime
    model_version: str | None = Field(description="The champion at the time of publication; null if there was none.")
    held_since: datetime | None = Field(
        None, description="Start of the current hold; null if publications are not on hold."
    )
    hold_reason: str | None = Field(None, description="The gate and rule, or the rollback, that caused the hold.")
