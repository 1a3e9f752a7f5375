-- Grain: one row per day with activity of the user that the caller may see (as in visible/by_user.sql), for the given
-- number of days up to data_as_of.
SELECT day, page_view_count, check_in_count, key_result_count
FROM marts.fct_user_activity_daily
WHERE
    user_id = %(user_id)s
    AND day > (SELECT (data_as_of AT TIME ZONE 'UTC')::date - %(days)s::int FROM marts.publication)
    AND (%(is_of_organisation)s OR user_id = %(own_user_id)s OR team_id = ANY(%(led_team_ids)s::text []))
    AND (
        %(visible_organisation_id)s::text IS NULL
        OR team_id IN (
            SELECT team.team_id
            FROM marts.dim_team AS team
            WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
        )
    )
ORDER BY day DESC
