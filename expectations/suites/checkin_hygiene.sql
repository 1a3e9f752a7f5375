-- name: coverage_is_a_share
-- expect: coverage is 0-1 and counts no more key results than are open
SELECT team_id, cycle_id, week_start, check_in_coverage_ratio
FROM {batch}
WHERE check_in_coverage_ratio NOT BETWEEN 0 AND 1 OR checked_in_key_result_count > open_key_result_count

-- name: team_exists
-- expect: each team held key results on some day
SELECT DISTINCT team_id FROM {batch} WHERE team_id IS NOT NULL
EXCEPT
SELECT team_id FROM fct_key_result_daily
