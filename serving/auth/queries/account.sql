-- Returns at most one row: the account with the given user name.
SELECT username, role, password_hash
FROM auth.account
WHERE username = %(username)s
