INSERT INTO event (topic, message_key, message_value, spooled_at)
VALUES (:topic, :key, :value, :spooled_at)
