-- No data is lost. Either the request is not known to have been persisted, or the state tables have its definitions,
-- endings and check-ins, and therefore also know the newest versions. The state tables do not store comments.
DELETE FROM serving.write_request AS request
WHERE
    request.received_at < now() - make_interval(days => %(days)s)
    AND (
        request.persisted_at IS NULL
        OR NOT EXISTS (
            SELECT FROM serving.written_event AS written
            WHERE
                written.request_id = request.request_id
                AND written.event_type <> 'okr.comment.posted.v1'
                AND NOT EXISTS (
                    SELECT FROM app.event AS logged
                    WHERE
                        written.event_type = logged.event_type
                        AND written.entity_id = logged.entity_id
                        AND written.event_id = logged.event_id
                )
        )
    )
