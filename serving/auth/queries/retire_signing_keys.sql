-- Ends the keys that a new one replaces.
UPDATE auth.signing_key
SET verifies_until = %(verifies_until)s
WHERE verifies_until IS NULL
RETURNING kid
