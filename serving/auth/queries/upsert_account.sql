-- The first logins: made at start, changed when their secret or role was changed.
INSERT INTO auth.account (username, role, password_hash)
VALUES (%(username)s, %(role)s, %(password_hash)s)
ON CONFLICT (username) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash
