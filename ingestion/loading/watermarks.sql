SELECT
    kafka_partition,
    next_offset,
    cluster_id
FROM raw.load_watermark
WHERE topic = %(topic)s
