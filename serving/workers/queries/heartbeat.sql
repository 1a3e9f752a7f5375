-- A worker that was frozen for a long time, and whose row was therefore deleted, registers again.
INSERT INTO serving.worker (worker_id, host, process_id)
VALUES (%(worker_id)s, %(host)s, %(process_id)s)
ON CONFLICT (worker_id) DO UPDATE SET heartbeat_at = now()
