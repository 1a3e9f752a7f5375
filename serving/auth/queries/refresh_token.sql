-- Returns at most one row: a refresh token in any state.
SELECT family_id, username, used_at, revoked_at
FROM auth.refresh_token
WHERE token_hash = %(token_hash)s
