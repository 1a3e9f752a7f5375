SELECT next_offset
FROM app.consumer_offset
WHERE
    cluster_id = %(cluster_id)s
    AND consumer_group = %(group)s
    AND topic = %(topic)s
    AND kafka_partition = %(partition)s
