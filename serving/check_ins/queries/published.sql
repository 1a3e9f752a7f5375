-- Grain: at most one row, a key result in its current cycle, as it was published.
SELECT key_result_id, title, unit, baseline, target, status, cycle_start, cycle_end, final_at
FROM marts.mart_okr_scorecard
WHERE key_result_id = %(key_result_id)s
  AND is_current_cycle
