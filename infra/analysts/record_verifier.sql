-- Record the password verifier of a login as the expected one. As with pg_authid, only the superuser can read the table.
INSERT INTO okr_admin.analyst_login (role, verifier)
SELECT rolname, rolpassword
FROM pg_authid
WHERE rolname = %(role)s
ON CONFLICT (role) DO UPDATE
SET verifier = excluded.verifier
