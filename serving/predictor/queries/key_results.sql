-- Grain: one row per key result and cycle: each key result in its current cycle, and running ones in other cycles.
SELECT key_result_id, cycle_id, cycle_start, cycle_end, status, unit, baseline, target, latest_value,
       latest_check_in_at, final_at, final_score, is_achieved, is_current_cycle
FROM marts.mart_okr_scorecard
WHERE is_current_cycle OR status = ANY(%(running)s)
