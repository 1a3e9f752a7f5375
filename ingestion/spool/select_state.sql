SELECT
    held.events,
    held.bytes,
    (SELECT count(*) FROM event WHERE event.refused_because IS NOT NULL) AS refused,
    (
        SELECT event.spooled_at FROM event
        WHERE event.refused_because IS NULL
        ORDER BY event.position
        LIMIT 1
    ) AS oldest_at
FROM held
