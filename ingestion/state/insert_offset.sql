INSERT INTO app.consumer_offset (log_id, consumer_group, topic, kafka_partition, next_offset)
VALUES (%(log_id)s, %(group)s, %(topic)s, %(partition)s, %(next_offset)s)
ON CONFLICT DO NOTHING
