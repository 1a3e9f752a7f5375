DELETE FROM app.key_result_cycles
WHERE key_result_id = any(%(subjects)s)
