SELECT
    user_id,
    extract(EPOCH FROM last_active_at)::float8 AS at
FROM app.user_activity
WHERE last_active_at > to_timestamp(%(since)s)
