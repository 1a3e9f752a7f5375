-- Until it ends, this transaction is the only one that creates signing keys.
SELECT pg_advisory_xact_lock(hashtext('auth.signing_key'))
