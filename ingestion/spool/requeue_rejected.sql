UPDATE event
SET refused_because = NULL
WHERE refused_because IS NOT NULL
