-- Returns at most one row: the request with an idempotency key of an account.
SELECT request_id, operation, body, persisted_at, is_acknowledged, rejected_because
FROM serving.write_request
WHERE username = %(username)s AND idempotency_key = %(idempotency_key)s
