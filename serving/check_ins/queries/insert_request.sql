-- Stores a request. Returns no row if its idempotency key or its check-in id is already stored.
INSERT INTO api.check_in_request (
    operation, username, organisation_id, idempotency_key, check_in_id, key_result_id, body, event_id, occurred_at,
    warnings
)
VALUES (
    %(operation)s, %(username)s, %(organisation_id)s, %(idempotency_key)s, %(check_in_id)s, %(key_result_id)s,
    %(body)s, %(event_id)s, %(occurred_at)s, %(warnings)s
)
ON CONFLICT DO NOTHING
RETURNING request_id, check_in_id, key_result_id, body, event_id, occurred_at, warnings, kept_at, is_in_log
