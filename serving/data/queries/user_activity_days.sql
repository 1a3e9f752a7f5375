-- Grain: one row per user and day with activity. It has only counts: people are not scored.
SELECT
    activity.user_id, activity.day, activity.team_id, activity.page_view_count, activity.check_in_count,
    activity.key_result_count
FROM marts.fct_user_activity_daily AS activity
LEFT JOIN marts.dim_team AS team ON activity.team_id = team.team_id AND team.is_current
WHERE
    (%(user)s::text [] IS NULL OR activity.user_id = ANY(%(user)s))
    AND (%(team)s::text [] IS NULL OR activity.team_id = ANY(%(team)s) OR team.name = ANY(%(team)s))
    AND (%(from_day)s::date IS NULL OR activity.day >= %(from_day)s)
    AND (%(to_day)s::date IS NULL OR activity.day <= %(to_day)s)
