DELETE FROM event
WHERE position = :position
