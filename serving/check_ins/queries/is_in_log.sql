-- Grain: one row where the log holds the event, else none.
SELECT event_id
FROM app.event
WHERE event_type = 'okr.check_in.recorded.v1' AND entity_id = %(check_in_id)s AND event_id = %(event_id)s
