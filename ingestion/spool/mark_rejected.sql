UPDATE event
SET refused_because = :reason
WHERE position = :position
