SELECT event_id::text
FROM raw.okr_user_events
WHERE event_id = any(%(event_ids)s::uuid [])
