-- Returns at most one row: a user who has a definition or activity that the caller may see.
SELECT listed.user_id
FROM (
    SELECT user_id, team_id FROM marts.dim_user WHERE is_current
    UNION
    SELECT user_id, team_id FROM marts.fct_user_activity_daily
) AS listed
WHERE
    listed.user_id = %(user_id)s
    AND (%(is_of_organisation)s OR listed.user_id = %(own_user_id)s OR listed.team_id = ANY(%(led_team_ids)s::text []))
    AND (
        %(visible_organisation_id)s::text IS NULL
        OR listed.team_id IN (
            SELECT team.team_id
            FROM marts.dim_team AS team
            WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
        )
    )
LIMIT 1
