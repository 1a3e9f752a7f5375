-- Grain: one row per user, in the newest definition. E-mail addresses are not served. Deactivated users are included only
-- on request.
SELECT
    person.user_id, person.name, person.team_id, team.name AS team_name, person.deactivated_at,
    person.valid_from AS defined_at, greatest(person.recorded_at, person.deactivated_at) AS changed_at
FROM marts.dim_user AS person
LEFT JOIN marts.dim_team AS team ON person.team_id = team.team_id AND team.is_current
WHERE
    person.is_current
    AND (person.deactivated_at IS NULL OR %(deactivated)s)
    AND (%(user)s::text [] IS NULL OR person.user_id = ANY(%(user)s))
    AND (%(team)s::text [] IS NULL OR person.team_id = ANY(%(team)s) OR team.name = ANY(%(team)s))
