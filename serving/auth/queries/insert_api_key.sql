-- Stores a new API key. Returns no row if a request with this idempotency key has already created one.
INSERT INTO auth.api_key (prefix, username, name, secret_hash, scopes, created_by, expires_at, idempotency_key)
VALUES (
    %(prefix)s, %(username)s, %(name)s, %(secret_hash)s, %(scopes)s, %(created_by)s, %(expires_at)s,
    %(idempotency_key)s
)
ON CONFLICT (created_by, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING prefix, username, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at, replaced_by
