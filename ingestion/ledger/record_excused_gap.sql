INSERT INTO ops.excused_gap AS existing (log_id, topic, kafka_partition, first_offset, next_offset, excused_at)
VALUES (%(log_id)s, %(topic)s, %(partition)s, %(start)s, %(end)s, %(verified_at)s)
ON CONFLICT (log_id, topic, kafka_partition, first_offset) DO UPDATE SET
    next_offset = excluded.next_offset,
    excused_at = excluded.excused_at
WHERE existing.next_offset < excluded.next_offset
