SELECT
    position,
    topic,
    message_key,
    message_value
FROM event
WHERE refused_because IS NULL AND position NOT IN (SELECT value FROM json_each(:without))
ORDER BY position
LIMIT :events
