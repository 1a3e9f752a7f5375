-- Until it ends, this transaction is the only one that changes the tokens of a login, so no token escapes a revocation.
SELECT pg_advisory_xact_lock(hashtextextended(%(family_id)s::text, 0))
