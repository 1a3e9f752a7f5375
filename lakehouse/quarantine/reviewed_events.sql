SELECT event_id::text AS event_id, rule, event_type, subject, occurred_at, reason, decision, note, is_withheld
FROM marts.fct_reviewed_event
WHERE NOT %(withheld_only)s OR is_withheld
ORDER BY is_withheld DESC, logged_at DESC, event_id, rule
LIMIT %(limit)s
