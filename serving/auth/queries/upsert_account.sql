-- Creates an account at startup, or updates an account whose password or role has changed in the settings.
INSERT INTO auth.account (username, role, password_hash)
VALUES (%(username)s, %(role)s, %(password_hash)s)
ON CONFLICT (username) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash
