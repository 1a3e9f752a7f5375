-- Serialises requests that write the same entities, until the end of the transaction. The order prevents deadlocks.
SELECT pg_advisory_xact_lock(hashtextextended('okr write ' || entity, 0))
FROM (SELECT DISTINCT entity FROM unnest(%(entities)s::text []) AS entity ORDER BY entity) AS sorted
