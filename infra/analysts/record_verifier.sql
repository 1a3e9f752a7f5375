-- Record the current password verifier of a login as the expected one. Only the superuser can read the table (as with
-- pg_authid).
INSERT INTO okr_admin.analyst_login (role, verifier)
SELECT rolname, rolpassword
FROM pg_authid
WHERE rolname = %(role)s
ON CONFLICT (role) DO UPDATE
SET verifier = excluded.verifier
