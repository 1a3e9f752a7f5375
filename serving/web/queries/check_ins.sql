-- Grain: one row per check-in of a key result in one of its cycles, in chronological order. counted_cycle_id is null
-- after a rollback to a publication from a release without that column.
SELECT check_in_id, checked_in_at, checked_in_on, value, confidence, note, is_final, is_closing, progress_ratio,
       correction_count, is_in_cycle
FROM marts.fct_check_in
WHERE key_result_id = %(key_result_id)s AND coalesce(counted_cycle_id, cycle_id) IS NOT DISTINCT FROM %(cycle_id)s
ORDER BY checked_in_at, check_in_id
