-- Upsert the definition with the newest occurred_at. If several have the same time, the last one in the log wins.
INSERT INTO app.newest_event AS existing (
    event_type, subject, occurred_at, logged_at, kafka_partition, kafka_offset, data, first_occurred_at
)
SELECT DISTINCT ON (event.event_type, event.entity_id)
    event.event_type,
    event.entity_id,
    event.occurred_at,
    event.logged_at,
    event.kafka_partition,
    event.kafka_offset,
    event.data,
    min(event.occurred_at) OVER (PARTITION BY event.event_type, event.entity_id)
FROM unnest(%(event_types)s::text [], %(entity_ids)s::text []) AS named (event_type, entity_id)
INNER JOIN app.counted_event AS event USING (event_type, entity_id)
ORDER BY event.event_type, event.entity_id, event.occurred_at DESC, event.position DESC
ON CONFLICT (event_type, subject) DO UPDATE
SET
    occurred_at = excluded.occurred_at,
    logged_at = excluded.logged_at,
    kafka_partition = excluded.kafka_partition,
    kafka_offset = excluded.kafka_offset,
    data = excluded.data,
    first_occurred_at = excluded.first_occurred_at
