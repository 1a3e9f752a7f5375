SELECT
    kafka_partition,
    max(next_offset) AS next_offset
FROM ops.pruned_range
WHERE topic = %(topic)s AND log_id = %(log_id)s AND pruned_at IS NOT NULL
GROUP BY kafka_partition
