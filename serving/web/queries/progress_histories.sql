-- Grain: one row per check-in of the given key results within its cycle, in chronological order. counted_cycle_id is
-- null after a rollback to a publication from a release without that column.
SELECT key_result_id, coalesce(counted_cycle_id, cycle_id) AS cycle_id, elapsed_ratio, progress_ratio
FROM marts.fct_check_in
WHERE key_result_id = ANY(%(key_result_ids)s)
  AND is_in_cycle
  AND progress_ratio IS NOT NULL
ORDER BY key_result_id, checked_in_at, check_in_id
