SELECT next_offset
FROM app.consumer_offset
WHERE
    log_id = %(log_id)s
    AND consumer_group = %(group)s
    AND topic = %(topic)s
    AND kafka_partition = %(partition)s
