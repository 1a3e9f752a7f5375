-- Revokes every refresh token of a login.
UPDATE auth.refresh_token
SET revoked_at = now()
WHERE family_id = %(family_id)s AND revoked_at IS NULL
RETURNING family_id
