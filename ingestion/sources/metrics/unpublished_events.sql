-- Grain: one topic. Loaded offsets that the current publication does not cover; all of them before the first one.
SELECT
    watermark.topic,
    sum(greatest(
        0,
        watermark.next_offset
        - coalesce((published.offsets -> watermark.topic ->> watermark.kafka_partition::text)::bigint, 0)
    )) AS events
FROM raw.load_watermark AS watermark
LEFT JOIN ops.publication AS published ON published.is_current
GROUP BY watermark.topic
