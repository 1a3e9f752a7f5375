-- The types of the events loaded since a build started. These are the events at or beyond the offsets recorded at its
-- start, which are read by primary key.
WITH since AS (
    SELECT
        watermark.topic,
        watermark.kafka_partition,
        coalesce((%(offsets)s::jsonb -> watermark.topic ->> watermark.kafka_partition::text)::bigint, 0) AS kafka_offset
    FROM raw.load_watermark AS watermark
)

SELECT event.event_type
FROM since
INNER JOIN raw.okr_user_events AS event USING (kafka_partition)
WHERE since.topic = 'okr_user_events' AND event.kafka_offset >= since.kafka_offset
UNION
SELECT event.event_type
FROM since
INNER JOIN raw.okr_system_metrics AS event USING (kafka_partition)
WHERE since.topic = 'okr_system_metrics' AND event.kafka_offset >= since.kafka_offset
UNION
SELECT event.event_type
FROM since
INNER JOIN raw.okr_ai_predictions AS event USING (kafka_partition)
WHERE since.topic = 'okr_ai_predictions' AND event.kafka_offset >= since.kafka_offset
UNION
SELECT event.event_type
FROM since
INNER JOIN raw.okr_data_pipeline AS event USING (kafka_partition)
WHERE since.topic = 'okr_data_pipeline' AND event.kafka_offset >= since.kafka_offset;
