"""Examples of the rows of the lists, for OpenAPI. A test validates each against its model."""

from typing import Any

Example = dict[str, Any]

_TEAM: Example = {"team_id": "team-sales", "team_name": "Sales", "team_label": "Sales"}
_CYCLE: Example = {
    "cycle_id": "2026-q4", "cycle_name": "2026 Q4", "cycle_start": "2026-10-01", "cycle_end": "2026-12-31",
}  # fmt: skip
_COUNTS: Example = {
    "key_result_count": 12, "closed_count": 0, "achieved_count": 0, "missed_count": 0, "on_track_count": 7,
    "at_risk_count": 3, "off_track_count": 1, "no_check_in_count": 1, "awaiting_close_count": 0,
    "not_started_count": 0, "no_cycle_count": 0, "attainment_ratio": None, "achieved_ratio": None,
    "on_track_ratio": 0.583, "score_to_date_ratio": 0.41,
}  # fmt: skip
_DEFINED: Example = {"defined_at": "2026-09-28T08:00:00Z", "changed_at": "2026-09-28T08:00:01Z"}

KEY_RESULT: Example = {
    "key_result_id": "kr-nps", "organisation": "Example", **_TEAM, **_CYCLE, "objective_id": "obj-loyalty",
    "objective_title": "Customers stay", "title": "Net promoter score above 40", "unit": "points",
    "direction": "increase", "baseline": 20.0, "target": 40.0, "weight": 1.0, "latest_value": 31.0,
    "latest_check_in_at": "2026-11-18T09:00:00Z", "latest_confidence": 0.7, "check_in_count": 6,
    "days_since_check_in": 2, "progress_ratio": 0.55, "score_ratio": 0.55, "expected_progress_ratio": 0.54,
    "pace_ratio": 1.02, "status": "on_track", "status_since": "2026-11-04", "opened_at": "2026-10-01T00:00:00Z",
    "ended_at": None, "is_current_cycle": True, "is_archived": False, "archived_at": None, "archived_reason": None,
    "is_closed": False, "final_at": None, "final_value": None, "final_score": None, "is_achieved": None,
    "missing_to_close": None, "changed_at": "2026-11-18T09:00:02Z",
}  # fmt: skip
TEAM_PROGRESS: Example = {**_TEAM, "organisation": "Example", **_CYCLE, **_COUNTS}
TEAM_SCORECARD: Example = {**TEAM_PROGRESS, "calibration_key_result_count": None, "overconfidence_ratio": None}
ORGANISATION_SCORECARD: Example = {
    "organisation_id": "example",
    "organisation": "Example",
    **_CYCLE,
    "team_count": 4,
    **_COUNTS,
}
TEAM: Example = {
    "team_id": "team-sales", "name": "Sales", "team_label": "Sales", "organisation_id": "example",
    "organisation_name": "Example", "archived_at": None, "successor_team_id": None, **_DEFINED,
}  # fmt: skip
USER: Example = {
    "user_id": "u-17", "name": "Ada Example", "team_id": "team-sales", "team_name": "Sales", "deactivated_at": None,
    **_DEFINED,
}  # fmt: skip
CYCLE: Example = {
    "cycle_id": "2026-q4", "name": "2026 Q4", "organisation_id": "example", "cycle_start": "2026-10-01",
    "cycle_end": "2026-12-31", "closed_at": None, **_DEFINED,
}  # fmt: skip
OBJECTIVE: Example = {
    "objective_id": "obj-loyalty", "title": "Customers stay", "team_id": "team-sales", "team_name": "Sales",
    "cycle_id": "2026-q4", "cycle_name": "2026 Q4", "parent_objective_id": None, "owner_user_id": "u-17",
    "archived_at": None, "archived_note": None, **_DEFINED,
}  # fmt: skip
CHECK_IN: Example = {
    "check_in_id": "ci-204", "key_result_id": "kr-nps", "user_id": "u-17", "team_id": "team-sales",
    "team_name": "Sales", "cycle_id": "2026-q4", "counted_cycle_id": "2026-q4",
    "checked_in_at": "2026-11-18T09:00:00Z", "recorded_at": "2026-11-18T09:00:02Z", "value": 31.0,
    "confidence": 0.7, "note": "Survey of November", "is_final": False, "is_closing": False, "progress_ratio": 0.55,
    "pace_ratio": 1.02, "correction_count": 0, "changed_at": "2026-11-18T09:00:02Z",
}  # fmt: skip
PROGRESS_DAY: Example = {
    "key_result_id": "kr-nps", "day": "2026-11-18", "team_id": "team-sales", "team_name": "Sales",
    "cycle_id": "2026-q4", "baseline": 20.0, "target": 40.0, "latest_value": 31.0, "progress_ratio": 0.55,
    "score_ratio": 0.55, "expected_progress_ratio": 0.52, "pace_ratio": 1.06, "days_since_check_in": 0,
    "check_in_count": 1, "is_closed": False, "status": "on_track",
}  # fmt: skip
USER_ACTIVITY_DAY: Example = {
    "user_id": "u-17", "day": "2026-11-18", "team_id": "team-sales", "page_view_count": 9, "check_in_count": 1,
    "key_result_count": 1,
}  # fmt: skip
HYGIENE_WEEK: Example = {
    "team_id": "team-sales", "cycle_id": "2026-q4", "week_start": "2026-11-16", "last_day": "2026-11-20",
    "organisation": "Example", "team_name": "Sales", "team_label": "Sales", "cycle_name": "2026 Q4",
    "open_key_result_count": 12, "checked_in_key_result_count": 9, "check_in_coverage_ratio": 0.75,
    "check_in_count": 11, "never_checked_in_key_result_count": 1, "stale_key_result_count": 2,
    "mean_days_since_check_in": 6.1,
}  # fmt: skip
HOST_METRIC: Example = {
    "host": "okr-1", "metric": "cpu_busy", "unit": "ratio", "hour_at": "2026-11-20T11:00:00Z", "sample_count": 60,
    "min_value": 0.04, "mean_value": 0.21, "p95_value": 0.55, "max_value": 0.71,
}  # fmt: skip
PIPELINE_RUN: Example = {
    "pipeline": "okr_etl_dag", "run_id": "scheduled__2026-11-20", "started_at": "2026-11-20T11:58:00Z",
    "finished_at": "2026-11-20T11:58:41Z", "duration_s": 41.0, "step_count": 7, "failed_step_count": 0,
    "state": "success", "first_failed_step": None, "failure_message": None, "changed_at": "2026-11-20T11:58:41Z",
}  # fmt: skip

_PUBLISHED: Example = {"publication_id": 41, "data_as_of": "2026-11-20T12:00:00Z"}
PUBLICATION: Example = {
    **_PUBLISHED, "published_at": "2026-11-20T12:00:40Z", "model_version": "7", "held_since": None, "hold_reason": None,
}  # fmt: skip
ONE_KEY_RESULT: Example = {
    **_PUBLISHED,
    "key_result": {name: value for name, value in KEY_RESULT.items() if name != "changed_at"},
    "cycles": [{name: value for name, value in KEY_RESULT.items() if name != "changed_at"}],
}
ACTIVITY: Example = {
    **_PUBLISHED, "user_id": "u-17",
    "days": [{"day": "2026-11-18", "page_view_count": 9, "check_in_count": 1, "key_result_count": 1}],
}  # fmt: skip
_FIGURE_AS_OF = "2026-11-20T12:00:40Z"
LIVE: Example = {
    "active_users": {"value": 42, "as_of": _FIGURE_AS_OF},
    "check_ins_per_minute": {"value": 1.4, "as_of": _FIGURE_AS_OF},
    "progress_by_cycle": {"value": {"2026-q4": 0.41}, "as_of": _FIGURE_AS_OF},
    "consumer_lag": {"okr-state": {"value": 0, "as_of": _FIGURE_AS_OF}},
}
SYSTEM_HEALTH: Example = {
    **_PUBLISHED, "host_metrics": [HOST_METRIC], "next_cursor": None,
    "pipeline_runs": [{name: value for name, value in PIPELINE_RUN.items() if name != "changed_at"}], "live": LIVE,
}  # fmt: skip
