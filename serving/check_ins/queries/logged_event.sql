-- Returns a row if the state consumer has read the event from the log, and no row otherwise.
SELECT event_id
FROM api.logged_check_in
WHERE check_in_id = %(check_in_id)s AND event_id = %(event_id)s
