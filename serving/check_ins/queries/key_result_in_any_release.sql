-- Returns at most one row: a published key result with only the columns that exist in every release. This query
-- is used if published_key_result.sql fails because the publication is from an older release.
SELECT key_result_id, title, unit, baseline, target
FROM marts.mart_okr_scorecard
WHERE key_result_id = %(key_result_id)s
ORDER BY cycle_start DESC NULLS LAST
LIMIT 1
