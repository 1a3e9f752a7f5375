"""The lists of the data API. docs/serving.md describes the convention that they share."""

from typing import Any

from lakehouse.field_encryption.personal_columns import personal_column
from serving.data import schemas
from serving.data.lists import rows
from serving.data.lists.listing import Computed, Listing
from serving.publication_reader import Row
from serving.status_explanations import missing_to_close

CLOSING_INPUTS = (
    "status", "cycle_end", "unit", "baseline", "target", "latest_value", "latest_check_in_at", "ended_at",
    "closable_until",
)  # fmt: skip


def _missing_to_close(row: Row) -> Any:
    return missing_to_close(row)


KEY_RESULTS = Listing(
    "/v1/key-results", "key_results", schemas.ListedKeyResult, "key_results", ("key_result_id", "cycle_id"),
    computed={"missing_to_close": Computed(_missing_to_close, CLOSING_INPUTS)},
)  # fmt: skip
OKR_PROGRESS = Listing(
    "/v1/okr-progress", "teams", schemas.TeamProgress, "team_scorecards", ("team_id", "cycle_id"),
    newest_first="cycle_start",
)  # fmt: skip
TEAM_SCORECARDS = Listing(
    "/v1/team-scorecards", "team_scorecards", schemas.TeamScorecard, "team_scorecards", ("team_id", "cycle_id")
)
ORGANISATION_SCORECARDS = Listing(
    "/v1/organisation-scorecards", "organisation_scorecards", schemas.OrganisationScorecard,
    "organisation_scorecards", ("organisation_id", "cycle_id"), visible="by_organisation",
)  # fmt: skip
TEAMS = Listing("/v1/teams", "teams", rows.Team, "teams", ("team_id",), visible="by_organisation")
USERS = Listing(
    "/v1/users",
    "users",
    rows.User,
    "users",
    ("user_id",),
    personal={"name": personal_column("okr.user.defined.v1", "name")},
)
CYCLES = Listing("/v1/cycles", "cycles", rows.Cycle, "cycles", ("cycle_id",), visible="by_organisation")
OBJECTIVES = Listing(
    "/v1/objectives", "objectives", rows.Objective, "objectives", ("objective_id",),
    personal={"archived_note": personal_column("okr.objective.archived.v1", "reason")},
)  # fmt: skip
CHECK_INS = Listing(
    "/v1/check-ins", "check_ins", rows.CheckInRow, "check_ins", ("check_in_id",),
    personal={"note": personal_column("okr.check_in.recorded.v1", "note")},
)  # fmt: skip
PROGRESS_DAYS = Listing(
    "/v1/progress-days", "progress_days", rows.ProgressDay, "progress_days", ("key_result_id", "day")
)
USER_ACTIVITY = Listing(
    "/v1/user-activity",
    "user_activity",
    rows.UserActivityDay,
    "user_activity_days",
    ("user_id", "day"),
    visible="by_user",
)
CHECK_IN_HYGIENE = Listing(
    "/v1/check-in-hygiene", "check_in_hygiene", rows.HygieneWeek, "check_in_hygiene",
    ("team_id", "cycle_id", "week_start"),
)  # fmt: skip
HOST_METRICS = Listing(
    "/v1/host-metrics",
    "host_metrics",
    schemas.HostMetric,
    "host_metric_hours",
    ("-hour_at", "host", "metric", "unit"),
    visible="installation",
)
SYSTEM_HEALTH = Listing(
    "/v1/system-health",
    "host_metrics",
    schemas.HostMetric,
    HOST_METRICS.query,
    HOST_METRICS.key,
    visible="installation",
)
PIPELINE_RUNS = Listing(
    "/v1/pipeline-runs",
    "pipeline_runs",
    schemas.ListedPipelineRun,
    "pipeline_run_history",
    ("pipeline", "run_id"),
    visible="installation",
)
LISTINGS = (
    KEY_RESULTS, OKR_PROGRESS, TEAM_SCORECARDS, ORGANISATION_SCORECARDS, TEAMS, USERS, CYCLES, OBJECTIVES, CHECK_INS,
    PROGRESS_DAYS, USER_ACTIVITY, CHECK_IN_HYGIENE, HOST_METRICS, PIPELINE_RUNS,
)  # fmt: skip
