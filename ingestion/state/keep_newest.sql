-- An older event never overwrites a newer one; it only moves back when the first was seen.
INSERT INTO app.newest_event AS kept (
    event_type, subject, occurred_at, kafka_partition, kafka_offset, data, first_occurred_at
)
SELECT DISTINCT ON (event_type, subject)
    event_type,
    subject,
    occurred_at,
    kafka_partition,
    kafka_offset,
    data,
    min(occurred_at) OVER (PARTITION BY event_type, subject)
FROM unnest(
    %(event_type)s::text [],
    %(subject)s::text [],
    %(occurred_at)s::timestamptz [],
    %(kafka_partition)s::int [],
    %(kafka_offset)s::bigint [],
    %(data)s::jsonb []
) AS came (event_type, subject, occurred_at, kafka_partition, kafka_offset, data)
ORDER BY event_type, subject, occurred_at DESC, kafka_partition DESC, kafka_offset DESC
ON CONFLICT (event_type, subject) DO UPDATE
SET
    (occurred_at, kafka_partition, kafka_offset, data) = (
        SELECT newest.occurred_at, newest.kafka_partition, newest.kafka_offset, newest.data
        FROM (
            VALUES
            (kept.occurred_at, kept.kafka_partition, kept.kafka_offset, kept.data),
            (excluded.occurred_at, excluded.kafka_partition, excluded.kafka_offset, excluded.data)
        ) AS newest (occurred_at, kafka_partition, kafka_offset, data)
        ORDER BY newest.occurred_at DESC, newest.kafka_partition DESC, newest.kafka_offset DESC
        LIMIT 1
    ),
    first_occurred_at = least(kept.first_occurred_at, excluded.first_occurred_at)
WHERE
    (excluded.occurred_at, excluded.kafka_partition, excluded.kafka_offset)
    > (kept.occurred_at, kept.kafka_partition, kept.kafka_offset)
    OR excluded.first_occurred_at < kept.first_occurred_at
RETURNING event_type, subject
