-- Returns at most one row: a login of an account that is not revoked.
SELECT DISTINCT family_id, username
FROM auth.refresh_token
WHERE family_id = %(family_id)s AND username = %(username)s AND revoked_at IS NULL
