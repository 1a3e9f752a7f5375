-- Until it ends, this transaction is the only one that appends to the audit log.
SELECT pg_advisory_xact_lock(hashtext('auth.audit_event'))
