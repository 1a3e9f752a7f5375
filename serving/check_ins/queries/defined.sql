-- Grain: at most one row, a key result as the state consumer knows it: seconds old, before any publication.
SELECT key_result_id, title, unit, baseline, target
FROM app.key_results
WHERE key_result_id = %(key_result_id)s
