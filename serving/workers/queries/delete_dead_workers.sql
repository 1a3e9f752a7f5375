DELETE FROM serving.worker
WHERE
    heartbeat_at < now() - make_interval(secs => %(forgotten_after_s)s)
    OR heartbeat_at > now() + make_interval(secs => %(forgotten_after_s)s)
