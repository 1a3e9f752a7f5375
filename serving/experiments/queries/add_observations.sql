INSERT INTO serving.experiment_arm_minute (experiment_id, arm, minute, calls, failed_calls, slow_calls)
SELECT experiment_id, %(arm)s, date_trunc('minute', now()), %(calls)s, %(failed_calls)s, %(slow_calls)s
FROM serving.experiment
WHERE name = %(experiment)s
ON CONFLICT (experiment_id, arm, minute) DO UPDATE
SET calls = experiment_arm_minute.calls + excluded.calls,
    failed_calls = experiment_arm_minute.failed_calls + excluded.failed_calls,
    slow_calls = experiment_arm_minute.slow_calls + excluded.slow_calls
