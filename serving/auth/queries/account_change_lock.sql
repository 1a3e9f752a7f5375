-- Until the end of the transaction, only this one changes accounts. Locks of the administrators' rows would not do: a
-- transaction that waited for a row keeps its lock even if the row is no longer one of an enabled administrator, so
-- that two transactions could lock rows in different orders.
SELECT pg_advisory_xact_lock(hashtext('auth.account'))
