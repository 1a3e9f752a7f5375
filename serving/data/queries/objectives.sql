-- Grain: one row per objective, in its newest definition. Archived objectives are included only on request.
SELECT
    objective.objective_id, objective.title, objective.team_id, team.name AS team_name, objective.cycle_id,
    cycle.name AS cycle_name, objective.parent_objective_id, objective.owner_user_id, objective.archived_at,
    objective.archived_note, objective.valid_from AS defined_at,
    greatest(objective.recorded_at, objective.archived_at) AS changed_at
FROM marts.dim_objective AS objective
LEFT JOIN marts.dim_team AS team ON objective.team_id = team.team_id AND team.is_current
LEFT JOIN marts.dim_cycle AS cycle ON objective.cycle_id = cycle.cycle_id AND cycle.is_current
WHERE
    objective.is_current
    AND (objective.archived_at IS NULL OR %(archived)s)
    AND (%(objective)s::text [] IS NULL OR objective.objective_id = ANY(%(objective)s))
    AND (%(team)s::text [] IS NULL OR objective.team_id = ANY(%(team)s) OR team.name = ANY(%(team)s))
    AND (%(cycle)s::text [] IS NULL OR objective.cycle_id = ANY(%(cycle)s) OR cycle.name = ANY(%(cycle)s))
