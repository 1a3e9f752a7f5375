-- Grain: one row per pipeline run, newest first.
SELECT pipeline, run_id, started_at, finished_at, duration_s, step_count, failed_step_count, state,
       first_failed_step, failure_message
FROM marts.fct_pipeline_run
ORDER BY started_at DESC, pipeline, run_id
LIMIT %(runs)s
