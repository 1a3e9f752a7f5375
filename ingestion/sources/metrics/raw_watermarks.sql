SELECT
    topic,
    kafka_partition,
    next_offset
FROM raw.load_watermark
