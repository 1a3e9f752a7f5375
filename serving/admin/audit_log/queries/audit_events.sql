-- Grain: one event of the audit log, newest first.
SELECT event_id, occurred_at, actor, action, subject, outcome, address, details
FROM auth.audit_event
WHERE
    (%(before)s::bigint IS NULL OR event_id < %(before)s::bigint)
    AND (%(subject)s::text IS NULL OR subject = %(subject)s)
ORDER BY event_id DESC
LIMIT %(limit)s
