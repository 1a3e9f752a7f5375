SELECT pg_advisory_xact_lock(hashtextextended('okr load ' || %(topic)s, 0))
