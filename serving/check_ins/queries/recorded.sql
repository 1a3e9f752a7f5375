-- Grain: at most one row, the request that first recorded a check-in, by its idempotency key or else by the check-in.
SELECT request_id, check_in_id, key_result_id, body, event_id, occurred_at, warnings, kept_at, is_in_log
FROM api.check_in_request
WHERE
    operation = 'record'
    AND (
        (username = %(username)s AND idempotency_key = %(idempotency_key)s::text)
        OR check_in_id = %(check_in_id)s::text
    )
ORDER BY idempotency_key = %(idempotency_key)s::text DESC NULLS LAST
LIMIT 1
