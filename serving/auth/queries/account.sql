-- Grain: at most one row, the account with a user name.
SELECT username, role, password_hash
FROM auth.account
WHERE username = %(username)s
