SELECT kafka_partition
FROM raw.load_watermark
WHERE topic = {topic}
