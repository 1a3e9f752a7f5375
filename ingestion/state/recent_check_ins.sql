SELECT
    event_id::text AS event_id,
    extract(EPOCH FROM occurred_at)::float8 AS at
FROM app.counted_event
WHERE event_type = 'okr.check_in.recorded.v1' AND occurred_at > to_timestamp(%(since)s)
