-- No data is lost. Either the request is not known to have been persisted, or its event is in the state tables, from
-- which a repeated request can be answered.
DELETE FROM api.check_in_request AS request
WHERE
    request.received_at < now() - make_interval(days => %(days)s)
    AND (
        request.kept_at IS NULL
        OR EXISTS (
            SELECT FROM app.event AS logged
            WHERE
                logged.event_type = 'okr.check_in.recorded.v1'
                AND request.check_in_id = logged.entity_id
                AND request.event_id = logged.event_id
        )
    )
