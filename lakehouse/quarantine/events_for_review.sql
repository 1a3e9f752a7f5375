SELECT
    event_id::text AS event_id, rule, event_type, subject, occurred_at, logged_at, reason, decision,
    note AS decision_reason, is_withheld
FROM marts.fct_reviewed_event
WHERE
    (NOT %(withheld_only)s OR is_withheld)
    AND (
        %(after_is_withheld)s::boolean IS NULL
        OR (NOT is_withheld, %(after_logged_at)s::timestamptz, event_id, rule)
        > (NOT %(after_is_withheld)s::boolean, logged_at, %(after_event_id)s::uuid, %(after_rule)s::text)
    )
ORDER BY is_withheld DESC, logged_at DESC, event_id, rule
LIMIT %(limit)s
