-- Appends an event to the audit log.
INSERT INTO auth.audit_event (
    event_id, occurred_at, actor, action, subject, outcome, address, details, previous_hash, hash, seal, seal_key
)
VALUES (
    %(event_id)s, %(occurred_at)s, %(actor)s, %(action)s, %(subject)s, %(outcome)s, %(address)s, %(details)s,
    %(previous_hash)s, %(hash)s, %(seal)s, %(seal_key)s
)
RETURNING event_id
