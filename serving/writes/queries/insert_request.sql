-- Stores a request. Returns no row if its idempotency key is already stored.
INSERT INTO serving.write_request (username, idempotency_key, operation, body)
VALUES (%(username)s, %(idempotency_key)s, %(operation)s, %(body)s)
ON CONFLICT DO NOTHING
RETURNING request_id
