-- Grain: one row per team and cycle.
SELECT
    team_id, team_name, team_label, organisation, cycle_id, cycle_name, cycle_start, cycle_end,
    key_result_count, closed_count, achieved_count, missed_count, on_track_count, at_risk_count, off_track_count,
    no_check_in_count, awaiting_close_count, not_started_count, no_cycle_count,
    attainment_ratio, achieved_ratio, on_track_ratio, score_to_date_ratio,
    calibration_key_result_count, overconfidence_ratio
FROM marts.mart_team_scorecard
WHERE
    (%(team)s::text [] IS NULL OR team_id = ANY(%(team)s) OR team_name = ANY(%(team)s))
    AND (%(cycle)s::text [] IS NULL OR cycle_id = ANY(%(cycle)s) OR cycle_name = ANY(%(cycle)s))
    AND (%(organisation)s::text [] IS NULL OR organisation = ANY(%(organisation)s))
