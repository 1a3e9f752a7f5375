-- Returns at most one row: the current content of a check-in (from any source) in the state tables.
SELECT value, confidence, note, is_final
FROM app.check_ins
WHERE check_in_id = %(check_in_id)s
