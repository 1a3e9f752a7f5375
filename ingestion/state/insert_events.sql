-- Of several copies the first in the log is kept, as staging does; its time tells which one that is, for with more
-- partitions a later copy may stand in a lower one. A later copy changes nothing. One that is read again (after a reset)
-- is returned, and so projected again.
INSERT INTO app.event AS kept (
    event_type, entity_id, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data
)
SELECT DISTINCT ON (came.event_type, entity_id, came.event_id)
    came.event_type,
    CASE
        WHEN came.event_type = 'okr.check_in.recorded.v1' THEN came.data ->> 'check_in_id' ELSE came.subject
    END AS entity_id,
    came.event_id,
    came.occurred_at,
    came.logged_at,
    came.kafka_partition,
    came.kafka_offset,
    came.data
FROM unnest(
    %(event_type)b::text [],
    %(subject)b::text [],
    %(event_id)b::uuid [],
    %(occurred_at)b::timestamptz [],
    %(logged_at)b::timestamptz [],
    %(kafka_partition)b::int [],
    %(kafka_offset)b::bigint [],
    %(data)b::jsonb []
) AS came (event_type, subject, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data)
ORDER BY came.event_type, entity_id, came.event_id, came.logged_at, came.kafka_partition, came.kafka_offset
ON CONFLICT (event_type, entity_id, event_id) DO UPDATE
SET
    occurred_at = excluded.occurred_at,
    logged_at = excluded.logged_at,
    kafka_partition = excluded.kafka_partition,
    kafka_offset = excluded.kafka_offset,
    data = excluded.data
WHERE
    (excluded.logged_at, excluded.kafka_partition, excluded.kafka_offset)
    <= (kept.logged_at, kept.kafka_partition, kept.kafka_offset)
RETURNING event_type, entity_id
