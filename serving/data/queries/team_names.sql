-- Grain: one row per current or former name of a team.
SELECT team_id AS id, name
FROM marts.dim_team
UNION
SELECT team_id, team_name
FROM marts.mart_okr_scorecard
WHERE team_id IS NOT NULL
