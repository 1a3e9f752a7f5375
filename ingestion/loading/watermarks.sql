SELECT kafka_partition, next_offset
FROM raw.load_watermark
WHERE topic = %(topic)s
