-- Returns at most one row: the correction with the given idempotency key or, if none is given, the newest request
-- for the check-in.
SELECT request_id, username, check_in_id, key_result_id, body, event_id, occurred_at, warnings, kept_at, is_in_log
FROM api.check_in_request
WHERE
    operation = 'correct'
    AND username = %(username)s
    AND idempotency_key = %(idempotency_key)s::text
UNION ALL
(
    SELECT request_id, username, check_in_id, key_result_id, body, event_id, occurred_at, warnings, kept_at, is_in_log
    FROM api.check_in_request
    WHERE check_in_id = %(check_in_id)s AND operation <> 'repeat' AND %(idempotency_key)s::text IS NULL
    ORDER BY request_id DESC
    LIMIT 1
)
