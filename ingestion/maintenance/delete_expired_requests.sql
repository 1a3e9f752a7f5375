-- No data is lost. Either it is not known whether the request was persisted, or its event is in the state tables, which
-- can answer a repeated request.
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
