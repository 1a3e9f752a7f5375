-- Insert events and return their entities. If the log has several copies of an event, the first copy wins, as in
-- staging. Copies are ordered by log time first, because a later copy may be in a partition with a lower number. A
-- later copy changes nothing. The condition is <= rather than <, so that an event that is read again after offsets were
-- reset is returned and therefore projected again.
INSERT INTO app.event AS existing (
    event_type, entity_id, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data
)
SELECT DISTINCT ON (incoming.event_type, entity_id, incoming.event_id)
    incoming.event_type,
    CASE
        WHEN incoming.event_type = 'okr.check_in.recorded.v1' THEN incoming.data ->> 'check_in_id' ELSE incoming.subject
    END AS entity_id,
    incoming.event_id,
    incoming.occurred_at,
    incoming.logged_at,
    incoming.kafka_partition,
    incoming.kafka_offset,
    incoming.data
FROM unnest(
    %(event_type)b::text [],
    %(subject)b::text [],
    %(event_id)b::uuid [],
    %(occurred_at)b::timestamptz [],
    %(logged_at)b::timestamptz [],
    %(kafka_partition)b::int [],
    %(kafka_offset)b::bigint [],
    %(data)b::jsonb []
) AS incoming (event_type, subject, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data)
ORDER BY
    incoming.event_type, entity_id, incoming.event_id, incoming.logged_at, incoming.kafka_partition, incoming.kafka_offset
ON CONFLICT (event_type, entity_id, event_id) DO UPDATE
SET
    occurred_at = excluded.occurred_at,
    logged_at = excluded.logged_at,
    kafka_partition = excluded.kafka_partition,
    kafka_offset = excluded.kafka_offset,
    data = excluded.data
WHERE
    (excluded.logged_at, excluded.kafka_partition, excluded.kafka_offset)
    <= (existing.logged_at, existing.kafka_partition, existing.kafka_offset)
RETURNING event_type, entity_id
