SELECT refused_because
FROM event
WHERE position = :position
