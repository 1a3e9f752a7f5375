"""The rows of the lists of people, teams, cycles, objectives and check-ins.

Fields have the meaning of the mart columns with the same names (see the dbt docs).
"""

from datetime import date, datetime

from pydantic import BaseModel, Field

CHANGED = "Time of the row's last change, UTC, as far as its events state it (docs/serving.md); see `updated_since`."
DEFINED = "Time from which the newest definition is valid, UTC."


class Team(BaseModel):
    """A team in its newest definition."""

    team_id: str
    name: str
    team_label: str | None = Field(description="The team's name, made unique among teams with the same name.")
    organisation_id: str | None
    organisation_name: str | None
    archived_at: datetime | None = Field(description="Time at which the team was dissolved, UTC; null if it was not.")
    successor_team_id: str | None
    defined_at: datetime = Field(description=DEFINED)
    changed_at: datetime = Field(description=CHANGED)


class User(BaseModel):
    """A user in the newest definition, without the e-mail address. Users are not scored."""

    user_id: str
    name: str
    team_id: str | None
    team_name: str | None
    deactivated_at: datetime | None
    defined_at: datetime = Field(description=DEFINED)
    changed_at: datetime = Field(description=CHANGED)


class Cycle(BaseModel):
    """A cycle (usually a quarter) in its newest definition."""

    cycle_id: str
    name: str
    organisation_id: str | None
    cycle_start: date
    cycle_end: date = Field(description="Last day, inclusive, UTC.")
    closed_at: datetime | None
    defined_at: datetime = Field(description=DEFINED)
    changed_at: datetime = Field(description=CHANGED)


class Objective(BaseModel):
    """An objective in its newest definition."""

    objective_id: str
    title: str
    team_id: str
    team_name: str | None
    cycle_id: str
    cycle_name: str | None
    parent_objective_id: str | None
    owner_user_id: str | None
    archived_at: datetime | None
    archived_note: str | None
    defined_at: datetime = Field(description=DEFINED)
    changed_at: datetime = Field(description=CHANGED)


class CheckInRow(BaseModel):
    """A check-in in its newest version."""

    check_in_id: str
    key_result_id: str
    user_id: str | None
    team_id: str | None = Field(description="The key result's team at the time of the check-in.")
    team_name: str | None = Field(description="The current name of that team.")
    cycle_id: str | None = Field(description="The key result's cycle at the time of the check-in.")
    counted_cycle_id: str | None = Field(description="The cycle in which the check-in counts, usually `cycle_id`.")
    checked_in_at: datetime
    recorded_at: datetime
    value: float
    confidence: float | None
    note: str | None
    is_final: bool
    is_closing: bool
    progress_ratio: float | None
    pace_ratio: float | None
    correction_count: int
    changed_at: datetime = Field(description="Time at which the newest version was logged, UTC.")


class ProgressDay(BaseModel):
    """A key result at the end of a day."""

    key_result_id: str
    day: date
    team_id: str | None
    team_name: str | None
    cycle_id: str | None
    baseline: float
    target: float
    latest_value: float | None
    progress_ratio: float | None
    score_ratio: float | None
    expected_progress_ratio: float | None
    pace_ratio: float | None
    days_since_check_in: int | None
    check_in_count: int
    is_closed: bool
    status: str


class UserActivityDay(BaseModel):
    """Counts of a user's activity on one day. Users are not scored."""

    user_id: str
    day: date
    team_id: str | None
    page_view_count: int
    check_in_count: int
    key_result_count: int = Field(description="Number of key results for which the user checked in on that day.")


class HygieneWeek(BaseModel):
    """How regularly a team checked in, in one week of a cycle."""

    team_id: str | None
    cycle_id: str | None
    week_start: date = Field(description="Monday of the week.")
    last_day: date
    organisation: str | None
    team_name: str | None
    team_label: str | None
    cycle_name: str | None
    open_key_result_count: int
    checked_in_key_result_count: int
    check_in_coverage_ratio: float | None
    check_in_count: int
    never_checked_in_key_result_count: int
    stale_key_result_count: int = Field(description="Open key results whose latest check-in is over 14 days old.")
    mean_days_since_check_in: float | None
