-- Grain: a key result that the publication knows, of those asked for.
SELECT key_result_id, status, cycle_start
FROM marts.mart_okr_scorecard
WHERE key_result_id = ANY(%(key_result_ids)s)
