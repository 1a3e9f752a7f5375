-- Creates a first account at start, or updates it after its password or role changed in the settings.
INSERT INTO auth.account (username, role, password_hash)
VALUES (%(username)s, %(role)s, %(password_hash)s)
ON CONFLICT (username) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash
