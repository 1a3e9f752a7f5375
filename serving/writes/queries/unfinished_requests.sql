-- Grain: one row per request that writes one of the entities and whose events may never have been written to disk,
-- because the process that accepted it ended. A request of the last ten seconds may still be in progress.
SELECT request.request_id, request.username, request.operation, request.body, request.persisted_at,
       request.is_acknowledged, request.rejected_because
FROM serving.write_request AS request
WHERE
    request.persisted_at IS NULL
    AND request.rejected_because IS NULL
    AND request.received_at < now() - interval '10 seconds'
    AND EXISTS (
        SELECT FROM serving.written_event AS written
        INNER JOIN unnest(%(event_types)s::text [], %(entity_ids)s::text []) AS wanted (event_type, entity_id)
            ON written.event_type = wanted.event_type AND written.entity_id = wanted.entity_id
        WHERE written.request_id = request.request_id
    )
ORDER BY request.request_id
