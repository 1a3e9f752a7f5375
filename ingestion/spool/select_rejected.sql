SELECT
    position,
    topic,
    message_key,
    message_value,
    refused_because
FROM event
WHERE refused_because IS NOT NULL
ORDER BY position
LIMIT :events
