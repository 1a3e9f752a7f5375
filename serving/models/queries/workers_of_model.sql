-- Grain: one live worker, with what it has loaded of a model. A worker reports all models of its release when it starts.
SELECT
    worker.worker_id::text AS worker_id,
    worker.host,
    worker.process_id,
    worker.started_at,
    loaded.directive_id,
    CASE
        WHEN loaded.worker_id IS NULL AND has_reported THEN 'The release that this worker runs does not have the model.'
        ELSE loaded.problem
    END AS problem,
    loaded.worker_id IS NULL AND has_reported AS is_unaware,
    coalesce(loaded.versions, '[]'::jsonb) AS versions
FROM serving.worker
LEFT JOIN serving.worker_model AS loaded ON worker.worker_id = loaded.worker_id AND loaded.model_name = %(model_name)s
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM serving.worker_model AS any_model WHERE any_model.worker_id = worker.worker_id)
        AS has_reported
) AS reports
WHERE
    worker.heartbeat_at > now() - make_interval(secs => %(live_s)s)
    -- After a jump of the clock to the past, the heartbeats of dead workers are in the future.
    AND worker.heartbeat_at < now() + make_interval(secs => %(live_s)s)
ORDER BY worker.started_at, worker.worker_id
