-- Grain: one row per key result and day, with the state at the end of the day. from_day and to_day are inclusive.
SELECT
    daily.key_result_id, daily.day, daily.team_id, daily.team_name, daily.cycle_id, daily.baseline, daily.target,
    daily.latest_value, daily.progress_ratio, daily.score_ratio, daily.expected_progress_ratio, daily.pace_ratio,
    daily.days_since_check_in, daily.check_in_count, daily.is_closed, daily.status
FROM marts.fct_key_result_daily AS daily
LEFT JOIN marts.dim_cycle AS cycle ON daily.cycle_id = cycle.cycle_id AND cycle.is_current
WHERE
    (%(key_result)s::text [] IS NULL OR daily.key_result_id = ANY(%(key_result)s))
    AND (%(team)s::text [] IS NULL OR daily.team_id = ANY(%(team)s) OR daily.team_name = ANY(%(team)s))
    AND (%(cycle)s::text [] IS NULL OR daily.cycle_id = ANY(%(cycle)s) OR cycle.name = ANY(%(cycle)s))
    AND (%(from_day)s::date IS NULL OR daily.day >= %(from_day)s)
    AND (%(to_day)s::date IS NULL OR daily.day <= %(to_day)s)
