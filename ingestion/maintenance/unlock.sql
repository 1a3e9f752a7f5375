SELECT pg_advisory_unlock(hashtextextended('okr lake maintain', 0))
