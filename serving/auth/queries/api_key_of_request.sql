-- Returns at most one row: the API key that a request with an idempotency key created.
SELECT prefix
FROM auth.api_key
WHERE created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s
