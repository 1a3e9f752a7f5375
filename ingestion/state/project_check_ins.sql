-- Upsert check-ins. The last counted event in the log wins, regardless of its occurred_at. Return the previous and the
-- current key results of the check-ins, because a correction may name a different key result.
WITH before AS (
    SELECT key_result_id
    FROM app.check_ins
    WHERE check_in_id = any(%(ids)s)
),

existing AS (
    INSERT INTO app.check_ins AS existing (
        check_in_id, key_result_id, user_id, checked_in_at, value, confidence, note, is_final, logged_at,
        kafka_partition, kafka_offset
    )
    SELECT DISTINCT ON (event.entity_id)
        event.entity_id,
        event.data ->> 'key_result_id',
        event.data ->> 'user_id',
        event.occurred_at,
        (event.data ->> 'value')::float8,
        (event.data ->> 'confidence')::float8,
        event.data ->> 'note',
        coalesce((event.data ->> 'is_final')::boolean, false),
        event.logged_at,
        event.kafka_partition,
        event.kafka_offset
    FROM unnest(%(ids)s::text []) AS named (entity_id)
    INNER JOIN app.counted_event AS event
        ON named.entity_id = event.entity_id AND event.event_type = 'okr.check_in.recorded.v1'
    ORDER BY event.entity_id, event.position DESC
    ON CONFLICT (check_in_id) DO UPDATE
    SET
        key_result_id = excluded.key_result_id,
        user_id = excluded.user_id,
        checked_in_at = excluded.checked_in_at,
        value = excluded.value,
        confidence = excluded.confidence,
        note = excluded.note,
        is_final = excluded.is_final,
        logged_at = excluded.logged_at,
        kafka_partition = excluded.kafka_partition,
        kafka_offset = excluded.kafka_offset
    RETURNING key_result_id
)

SELECT key_result_id
FROM before
UNION
SELECT key_result_id
FROM existing
