-- Stores a new API key.
INSERT INTO auth.api_key (prefix, username, name, secret_hash, scopes, created_by, expires_at)
VALUES (
    %(prefix)s, %(username)s, %(name)s, %(secret_hash)s, %(scopes)s, %(created_by)s, %(expires_at)s
)
RETURNING prefix, username, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at, replaced_by
