-- name: team_exists
-- expect: each team has key results in fct_key_result_daily
SELECT DISTINCT team_id FROM {batch} WHERE team_id IS NOT NULL
EXCEPT
SELECT team_id FROM fct_key_result_daily
