-- Grain: one row per team, cycle and week in which the team has open key results.
SELECT
    team_id, cycle_id, week_start, last_day, organisation, team_name, team_label, cycle_name, open_key_result_count,
    checked_in_key_result_count, check_in_coverage_ratio, check_in_count, never_checked_in_key_result_count,
    stale_key_result_count, mean_days_since_check_in
FROM marts.mart_checkin_hygiene
WHERE
    (%(team)s::text [] IS NULL OR team_id = ANY(%(team)s) OR team_name = ANY(%(team)s))
    AND (%(cycle)s::text [] IS NULL OR cycle_id = ANY(%(cycle)s) OR cycle_name = ANY(%(cycle)s))
    AND (%(organisation)s::text [] IS NULL OR organisation = ANY(%(organisation)s))
