-- Grain: one row per pipeline run.
SELECT
    pipeline, run_id, started_at, finished_at, duration_s, step_count, failed_step_count, state, first_failed_step,
    failure_message, finished_at AS changed_at
FROM marts.fct_pipeline_run
WHERE
    (%(pipeline)s::text [] IS NULL OR pipeline = ANY(%(pipeline)s))
    AND (%(state)s::text [] IS NULL OR state = ANY(%(state)s))
