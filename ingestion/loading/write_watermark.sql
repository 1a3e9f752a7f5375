-- A watermark that was written before the column log_id existed gets the lake's log id, even if no new row is loaded.
INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset, log_id)
VALUES (%(topic)s, %(partition)s, %(next_offset)s, %(log_id)s)
ON CONFLICT (topic, kafka_partition) DO UPDATE
SET
    next_offset = greatest(load_watermark.next_offset, excluded.next_offset),
    log_id = coalesce(load_watermark.log_id, excluded.log_id),
    updated_at
    = CASE WHEN load_watermark.next_offset < excluded.next_offset THEN now() ELSE load_watermark.updated_at END
WHERE load_watermark.next_offset < excluded.next_offset OR load_watermark.log_id IS NULL
