-- Returns at most one row: an API key with its account, locked until the end of the transaction.
SELECT account.username, account.role, account.organisation_id, account.user_id, account.team_ids, account.plan,
       account.created_at, account.disabled_at, account.password_changed_at, account.password_expires_at,
       account.credential_version, key.replaced_by, key.revoked_at
FROM auth.api_key AS key
INNER JOIN auth.account AS account ON key.username = account.username
WHERE key.prefix = %(prefix)s
FOR UPDATE OF key
