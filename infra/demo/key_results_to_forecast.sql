-- Grain: one key result to forecast. Open key results come first, then newer cycles, then lower paces.
SELECT key_result_id, title, is_closed
FROM marts.mart_okr_scorecard
WHERE latest_check_in_at IS NOT NULL AND is_current_cycle AND NOT is_archived
ORDER BY is_closed, cycle_end DESC NULLS LAST, pace_ratio NULLS LAST, key_result_id
LIMIT %(limit)s;
