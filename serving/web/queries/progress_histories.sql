-- Grain: a check-in within its cycle, of some key results, in time order. Gone back to a publication of a
-- release that had no counted_cycle_id, that is null.
SELECT key_result_id, coalesce(counted_cycle_id, cycle_id) AS cycle_id, elapsed_ratio, progress_ratio
FROM marts.fct_check_in
WHERE key_result_id = ANY(%(key_result_ids)s)
  AND is_in_cycle
  AND progress_ratio IS NOT NULL
ORDER BY key_result_id, checked_in_at, check_in_id
