-- Grain: one signing key whose tokens may still be valid.
SELECT kid, public_key, encrypted_private_key, signs_from, verifies_until
FROM auth.signing_key
WHERE verifies_until IS NULL OR verifies_until >= now()
