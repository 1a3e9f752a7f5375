INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset)
VALUES (%(topic)s, %(partition)s, %(next_offset)s)
ON CONFLICT (topic, kafka_partition) DO UPDATE
SET next_offset = excluded.next_offset, updated_at = now()
WHERE load_watermark.next_offset < excluded.next_offset
