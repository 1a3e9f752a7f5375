-- Until the end of the transaction, only this one changes the tokens of a login, so that none escapes a revocation.
SELECT pg_advisory_xact_lock(hashtextextended(%(family_id)s::text, 0))
