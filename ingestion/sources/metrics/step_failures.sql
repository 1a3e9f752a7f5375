-- Grain: one step of one pipeline that failed and has not succeeded since.
SELECT
    pipeline,
    step,
    count(DISTINCT run_id) AS failures,
    extract(EPOCH FROM max(failed_at)) AS last_failure_timestamp_seconds
FROM ops.step_failure
GROUP BY pipeline, step
ORDER BY max(failed_at) DESC
LIMIT 100
