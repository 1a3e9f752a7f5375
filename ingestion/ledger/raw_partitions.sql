-- Grain: one partition of a topic in PostgreSQL. The offset sum shows whether the right rows are loaded, not only how
-- many.
SELECT
    coalesce(loaded.kafka_partition, watermark.kafka_partition) AS kafka_partition,
    coalesce(watermark.next_offset, 0) AS watermark,
    coalesce(loaded.rows, 0) AS rows,
    coalesce(loaded.offset_sum, 0) AS offset_sum,
    coalesce(loaded.last_offset, -1) AS last_offset
FROM (
    SELECT
        kafka_partition,
        count(*) AS rows,
        sum(kafka_offset) AS offset_sum,
        max(kafka_offset) AS last_offset
    FROM {table}
    WHERE kafka_offset >= coalesce(({pruned}::jsonb ->> kafka_partition::text)::bigint, kafka_offset)
    GROUP BY kafka_partition
) AS loaded
FULL JOIN (
    SELECT
        kafka_partition,
        next_offset
    FROM raw.load_watermark
    WHERE topic = {topic}
) AS watermark ON loaded.kafka_partition = watermark.kafka_partition
