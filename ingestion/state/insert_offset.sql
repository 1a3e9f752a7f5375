INSERT INTO app.consumer_offset (cluster_id, consumer_group, topic, kafka_partition, next_offset)
VALUES (%(cluster_id)s, %(group)s, %(topic)s, %(partition)s, %(next_offset)s)
ON CONFLICT DO NOTHING
