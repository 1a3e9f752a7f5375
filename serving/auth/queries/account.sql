-- Returns at most one row: the account with the given user name. It may be disabled.
SELECT username, role, organisation_id, user_id, team_ids, plan, created_at, disabled_at, password_changed_at,
       password_expires_at, credential_version, password_hash, seed_hash
FROM auth.account
WHERE username = %(username)s
