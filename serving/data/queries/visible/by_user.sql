-- Condition: the activity is that of the caller's own user or of a user in a team that the caller leads, or the caller
-- may see the whole organisation (serving/auth/visibility.py).
(
    (%(is_of_organisation)s OR listed.user_id = %(own_user_id)s OR listed.team_id = ANY(%(led_team_ids)s::text []))
    AND (
        %(visible_organisation_id)s::text IS NULL
        OR listed.team_id IN (
            SELECT team.team_id
            FROM marts.dim_team AS team
            WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
        )
    )
)
