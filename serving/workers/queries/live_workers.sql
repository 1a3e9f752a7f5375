-- Grain: one live worker.
SELECT worker_id, host, process_id, started_at, heartbeat_at
FROM serving.worker
WHERE
    heartbeat_at > now() - make_interval(secs => %(live_s)s)
    -- After a jump of the clock to the past, the heartbeats of dead workers are in the future.
    AND heartbeat_at < now() + make_interval(secs => %(live_s)s)
ORDER BY started_at, worker_id
