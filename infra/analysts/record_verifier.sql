-- What a login's password must be; only the superuser can read it, as pg_authid.
INSERT INTO okr_admin.analyst_login AS kept (role, verifier)
SELECT rolname, rolpassword
FROM pg_authid
WHERE rolname = %(role)s
ON CONFLICT (role) DO UPDATE
SET verifier = excluded.verifier
