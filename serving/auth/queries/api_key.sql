-- Returns at most one row: an API key with its account.
SELECT account.username, account.role, account.organisation_id, account.user_id, account.team_ids, account.plan,
       account.created_at, account.disabled_at, account.password_changed_at, account.password_expires_at,
       account.credential_version,
       key.secret_hash, key.scopes, key.expires_at,
       key.revoked_at IS NULL AND coalesce(key.expires_at > now(), true) AND account.disabled_at IS NULL AS is_valid
FROM auth.api_key AS key
INNER JOIN auth.account AS account ON key.username = account.username
WHERE key.prefix = %(prefix)s
