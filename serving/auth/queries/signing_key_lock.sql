-- Until the end of the transaction, only this one creates signing keys.
SELECT pg_advisory_xact_lock(hashtext('auth.signing_key'))
