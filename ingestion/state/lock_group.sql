-- Serialise the projections of a consumer group, because concurrent ones would not see each other's events.
SELECT pg_advisory_xact_lock(hashtextextended('okr state ' || %(log_id)s || '/' || %(group)s, 0))
