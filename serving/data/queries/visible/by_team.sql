-- Condition: the row's team belongs to the caller's organisation (serving/auth/visibility.py).
(
    %(visible_organisation_id)s::text IS NULL
    OR listed.team_id IN (
        SELECT team.team_id
        FROM marts.dim_team AS team
        WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
    )
)
