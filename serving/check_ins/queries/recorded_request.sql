-- Returns at most one row: the request that first recorded a check-in with the given idempotency key or id.
-- is_bound: whether the key is already stored for this check-in.
WITH bound AS (
    SELECT check_in_id
    FROM api.check_in_request
    WHERE
        operation IN ('record', 'repeat')
        AND username = %(username)s
        AND idempotency_key = %(idempotency_key)s::text
    ORDER BY request_id
    LIMIT 1
)
SELECT
    request_id, username, check_in_id, key_result_id, body, event_id, occurred_at, warnings, kept_at, is_in_log,
    EXISTS (SELECT 1 FROM bound) AS is_bound
FROM api.check_in_request
WHERE
    operation IN ('record', 'repeat')
    AND check_in_id = coalesce((SELECT check_in_id FROM bound), %(check_in_id)s::text)
ORDER BY operation = 'record' DESC, request_id
LIMIT 1
