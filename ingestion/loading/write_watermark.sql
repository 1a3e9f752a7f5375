-- A row from before the clusters were kept takes the cluster of the lake it is loaded from, even when nothing is new.
INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset, cluster_id)
VALUES (%(topic)s, %(partition)s, %(next_offset)s, %(cluster_id)s)
ON CONFLICT (topic, kafka_partition) DO UPDATE
SET
    next_offset = greatest(load_watermark.next_offset, excluded.next_offset),
    cluster_id = coalesce(load_watermark.cluster_id, excluded.cluster_id),
    updated_at
    = CASE WHEN load_watermark.next_offset < excluded.next_offset THEN now() ELSE load_watermark.updated_at END
WHERE load_watermark.next_offset < excluded.next_offset OR load_watermark.cluster_id IS NULL
