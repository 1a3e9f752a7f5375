-- Returns at most one row: a valid API key, with the expiry of its successor, which has the same lifetime.
SELECT username, name, scopes, now() + (expires_at - created_at) AS expires_at
FROM auth.api_key
WHERE
    prefix = %(prefix)s
    AND revoked_at IS NULL AND replaced_by IS NULL AND coalesce(expires_at > now(), true)
