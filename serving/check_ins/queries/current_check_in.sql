-- Grain: at most one row, what a check-in says now, whoever recorded and corrected it, as far as the log is read.
SELECT value, confidence, note, is_final
FROM app.check_ins
WHERE check_in_id = %(check_in_id)s
