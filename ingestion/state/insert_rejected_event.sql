INSERT INTO app.refused_event (log_id, topic, kafka_partition, kafka_offset, event_id, reason)
VALUES (%(log_id)s, %(topic)s, %(partition)s, %(offset)s, %(event_id)s, %(reason)s)
ON CONFLICT DO NOTHING
