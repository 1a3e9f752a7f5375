-- Grain: one row per team, in its newest definition. Dissolved teams are included only on request.
SELECT
    team_id, name, team_label, organisation_id, organisation_name, archived_at, successor_team_id,
    valid_from AS defined_at, greatest(recorded_at, archived_at) AS changed_at
FROM marts.dim_team
WHERE
    is_current
    AND (archived_at IS NULL OR %(archived)s)
    AND (%(team)s::text [] IS NULL OR team_id = ANY(%(team)s) OR name = ANY(%(team)s))
    AND (
        %(organisation)s::text [] IS NULL
        OR organisation_id = ANY(%(organisation)s) OR organisation_name = ANY(%(organisation)s)
    )
