-- Grain: one row per cycle, in its newest definition.
SELECT
    cycle_id, name, organisation_id, cycle_start, cycle_end, closed_at,
    valid_from AS defined_at, greatest(recorded_at, closed_at) AS changed_at
FROM marts.dim_cycle
WHERE
    is_current
    AND (%(cycle)s::text [] IS NULL OR cycle_id = ANY(%(cycle)s) OR name = ANY(%(cycle)s))
    AND (%(organisation)s::text [] IS NULL OR organisation_id = ANY(%(organisation)s))
