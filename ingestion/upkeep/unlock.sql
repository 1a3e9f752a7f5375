SELECT pg_advisory_unlock(hashtextextended('okr lake upkeep', 0))
