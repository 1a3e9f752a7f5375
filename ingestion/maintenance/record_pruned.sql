UPDATE ops.pruned_range
SET pruned_at = now()
WHERE
    log_id = %(log_id)s
    AND topic = %(topic)s
    AND kafka_partition = %(partition)s
    AND next_offset = %(end)s
