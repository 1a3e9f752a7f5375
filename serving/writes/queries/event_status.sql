-- Returns at most one row: an event of this API, its request, and its progress through the pipeline.
WITH written AS (
    SELECT
        event.event_id, event.event_type, event.entity_id, event.occurred_at, request.username, request.operation,
        request.received_at, request.persisted_at, request.is_acknowledged, request.rejected_because
    FROM serving.written_event AS event
    INNER JOIN serving.write_request AS request ON event.request_id = request.request_id
    WHERE event.event_id = %(event_id)s
    UNION ALL
    (
        SELECT
            event_id, 'okr.check_in.recorded.v1', check_in_id, occurred_at, username,
            CASE operation WHEN 'correct' THEN 'PUT /v1/check-ins/' || check_in_id ELSE 'POST /v1/check-ins' END,
            received_at, kept_at, is_in_log, NULL
        FROM api.check_in_request
        WHERE event_id = %(event_id)s
        ORDER BY request_id
        LIMIT 1
    )
)

SELECT
    written.event_id, written.event_type, written.entity_id, written.occurred_at, written.username, written.operation,
    written.received_at, written.persisted_at, written.is_acknowledged,
    coalesce(written.rejected_because, progress.rejected_because) AS rejected_because,
    progress.withheld_because, progress.kafka_partition, progress.kafka_offset, progress.is_loaded,
    progress.publication_id
FROM written
CROSS JOIN LATERAL serving.event_progress(
    written.event_id, written.event_type, written.entity_id, written.received_at
) AS progress
