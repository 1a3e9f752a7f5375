-- Grain: a check-in within its cycle, of some key results, in time order.
SELECT key_result_id, counted_cycle_id AS cycle_id, elapsed_ratio, progress_ratio
FROM marts.fct_check_in
WHERE key_result_id = ANY(%(key_result_ids)s)
  AND is_in_cycle
  AND progress_ratio IS NOT NULL
ORDER BY key_result_id, checked_in_at, check_in_id
