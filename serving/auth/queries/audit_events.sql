-- Grain: one event of the audit log, in order, after the event %(after)s. A page has at most %(limit)s rows.
SELECT event_id, occurred_at, actor, action, subject, outcome, address, details, previous_hash, hash, seal, seal_key
FROM auth.audit_event
WHERE event_id > %(after)s
ORDER BY event_id
LIMIT %(limit)s
