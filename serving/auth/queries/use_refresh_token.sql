-- Marks a valid refresh token as used. Of several uses at the same time, only one gets the row.
UPDATE auth.refresh_token
SET used_at = now()
WHERE token_hash = %(token_hash)s AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
RETURNING family_id, username, credential_version, logged_in_at
