-- Grain: a check-in of one key result in one of its cycles, in time order. Gone back to a publication of a
-- release that had no counted_cycle_id, that is null.
SELECT check_in_id, checked_in_at, checked_in_on, value, confidence, note, is_final, is_closing, progress_ratio,
       correction_count, is_in_cycle
FROM marts.fct_check_in
WHERE key_result_id = %(key_result_id)s AND coalesce(counted_cycle_id, cycle_id) IS NOT DISTINCT FROM %(cycle_id)s
ORDER BY checked_in_at, check_in_id
