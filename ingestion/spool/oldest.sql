SELECT
    position,
    topic,
    message_key,
    message_value
FROM event
WHERE refused_because IS NULL AND position > :after
ORDER BY position
LIMIT :events
