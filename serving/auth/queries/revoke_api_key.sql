-- Revokes an API key.
UPDATE auth.api_key
SET revoked_at = coalesce(revoked_at, now())
WHERE prefix = %(prefix)s
RETURNING prefix, username, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at, replaced_by
