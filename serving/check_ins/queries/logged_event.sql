-- Grain: one row where the log holds the event, else none.
SELECT event_id
FROM api.logged_check_in
WHERE check_in_id = %(check_in_id)s AND event_id = %(event_id)s
