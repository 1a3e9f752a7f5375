INSERT INTO ops.pruned_range (
    log_id, topic, kafka_partition, first_offset, next_offset, rows, rejected, valid_offset_sum
)
VALUES (
    %(log_id)s, %(topic)s, %(partition)s, %(start)s, %(end)s, %(rows)s, %(rejected)s, %(offset_sum)s
)
