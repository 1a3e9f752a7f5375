-- Grain: one row per login of an account that can still be refreshed, newest first.
SELECT token.family_id, token.logged_in_at, token.issued_at AS refreshed_at, token.expires_at
FROM auth.refresh_token AS token
INNER JOIN auth.account AS account
    ON token.username = account.username AND token.credential_version = account.credential_version
WHERE
    token.username = %(username)s
    AND token.used_at IS NULL AND token.revoked_at IS NULL AND token.expires_at > now()
ORDER BY token.logged_in_at DESC
LIMIT 200
