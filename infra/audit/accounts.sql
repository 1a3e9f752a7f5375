-- Grain: one account with a one-time password, or one API key without an expiry.
SELECT
    'one-time password' AS kind,
    username AS subject,
    username,
    to_char(password_changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS since
FROM auth.account
WHERE password_expires_at IS NOT NULL AND disabled_at IS NULL
UNION ALL
SELECT
    'key without expiry',
    api_key.prefix,
    api_key.username,
    to_char(api_key.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
FROM auth.api_key
INNER JOIN auth.account ON api_key.username = account.username
WHERE api_key.expires_at IS NULL AND api_key.revoked_at IS NULL
ORDER BY 1, 2
