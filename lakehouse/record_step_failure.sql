INSERT INTO ops.step_failure (pipeline, run_id, step, failed_at, message)
VALUES (%(pipeline)s, %(run_id)s, %(step)s, %(failed_at)s, %(message)s)
ON CONFLICT (pipeline, run_id, step) DO UPDATE SET failed_at = excluded.failed_at, message = excluded.message
