-- Stores a request. Returns no row if its idempotency key is already stored.
INSERT INTO serving.write_request (username, organisation_id, idempotency_key, operation, body)
VALUES (%(username)s, %(organisation_id)s, %(idempotency_key)s, %(operation)s, %(body)s)
ON CONFLICT DO NOTHING
RETURNING request_id
