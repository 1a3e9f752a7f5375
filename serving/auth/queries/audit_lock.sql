-- Until the end of the transaction, only this one appends to the audit log.
SELECT pg_advisory_xact_lock(hashtext('auth.audit_event'))
