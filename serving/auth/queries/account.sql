-- Returns at most one row: the account with the given user name, unless it is disabled.
SELECT username, role, password_hash, organisation_id, user_id, team_ids, plan
FROM auth.account
WHERE username = %(username)s AND disabled_at IS NULL
