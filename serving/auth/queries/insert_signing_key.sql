-- Stores a new signing key.
INSERT INTO auth.signing_key (kid, public_key, encrypted_private_key, signs_from)
VALUES (%(kid)s, %(public_key)s, %(encrypted_private_key)s, %(signs_from)s)
RETURNING kid
