-- Record the password verifier of a login as the expected one. Like pg_authid, the table is readable only by the superuser.
INSERT INTO okr_admin.analyst_login (role, verifier)
SELECT rolname, rolpassword
FROM pg_authid
WHERE rolname = %(role)s
ON CONFLICT (role) DO UPDATE
SET verifier = excluded.verifier
