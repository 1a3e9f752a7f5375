UPDATE app.consumer_offset
SET next_offset = %(next_offset)s, updated_at = now()
WHERE
    log_id = %(log_id)s
    AND consumer_group = %(group)s
    AND topic = %(topic)s
    AND kafka_partition = %(partition)s
    AND next_offset = %(start)s
