-- Grain: an id and a name that a cycle has or had.
SELECT cycle_id AS id, name
FROM marts.dim_cycle
UNION
SELECT cycle_id, cycle_name
FROM marts.mart_okr_scorecard
WHERE cycle_id IS NOT NULL
