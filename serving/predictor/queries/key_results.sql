-- Grain: one row per requested key result, in its current cycle.
SELECT key_result_id, cycle_id, cycle_start, cycle_end, status, unit, baseline, target, latest_value,
       latest_check_in_at, final_at, final_score, is_achieved
FROM marts.mart_okr_scorecard
WHERE key_result_id = ANY(%(key_result_ids)s) AND is_current_cycle
