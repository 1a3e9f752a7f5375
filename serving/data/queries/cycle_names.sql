-- Grain: one row per current or former name of a cycle.
SELECT cycle_id AS id, name
FROM marts.dim_cycle
UNION
SELECT cycle_id, cycle_name
FROM marts.mart_okr_scorecard
WHERE cycle_id IS NOT NULL
