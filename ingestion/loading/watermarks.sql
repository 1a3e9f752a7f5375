SELECT
    kafka_partition,
    next_offset,
    log_id
FROM raw.load_watermark
WHERE topic = %(topic)s
