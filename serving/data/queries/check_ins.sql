-- Grain: one row per check-in, in its newest version. from_day and to_day are days of checked_in_at, UTC, inclusive.
SELECT
    check_in.check_in_id, check_in.key_result_id, check_in.user_id, check_in.team_id, team.name AS team_name,
    check_in.cycle_id, check_in.counted_cycle_id, check_in.checked_in_at, check_in.recorded_at, check_in.value,
    check_in.confidence, check_in.note, check_in.is_final, check_in.is_closing, check_in.progress_ratio,
    check_in.pace_ratio, check_in.correction_count, check_in.logged_at AS changed_at
FROM marts.fct_check_in AS check_in
LEFT JOIN marts.dim_team AS team ON check_in.team_id = team.team_id AND team.is_current
LEFT JOIN marts.dim_cycle AS cycle ON check_in.cycle_id = cycle.cycle_id AND cycle.is_current
WHERE
    (%(key_result)s::text [] IS NULL OR check_in.key_result_id = ANY(%(key_result)s))
    AND (%(team)s::text [] IS NULL OR check_in.team_id = ANY(%(team)s) OR team.name = ANY(%(team)s))
    AND (%(cycle)s::text [] IS NULL OR check_in.cycle_id = ANY(%(cycle)s) OR cycle.name = ANY(%(cycle)s))
    AND (%(user)s::text [] IS NULL OR check_in.user_id = ANY(%(user)s))
    AND (%(from_day)s::date IS NULL OR check_in.checked_in_on >= %(from_day)s)
    AND (%(to_day)s::date IS NULL OR check_in.checked_in_on <= %(to_day)s)
