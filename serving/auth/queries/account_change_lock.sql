-- Until it ends, this transaction is the only one that changes accounts. Locks on the administrators' rows would not
-- do: a transaction that waited for a row keeps its lock even if the row is no longer one of an enabled administrator,
-- so that two transactions could lock rows in different orders.
SELECT pg_advisory_xact_lock(hashtext('auth.account'))
