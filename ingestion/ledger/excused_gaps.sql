SELECT
    log_id,
    kafka_partition,
    first_offset,
    next_offset
FROM ops.excused_gap
WHERE topic = {topic}
ORDER BY log_id, kafka_partition, first_offset
