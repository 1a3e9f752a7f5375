-- Grain: one event, and one rule that flagged or withheld it, or that an earlier decision on it names. If there is no
-- such rule, a decision to withhold is recorded as manual, and a decision to release returns no row.
WITH named AS (
    SELECT DISTINCT unnest(%(event_ids)s::uuid []) AS event_id
),

found AS (
    SELECT event_id, rule FROM marts.fct_reviewed_event
    UNION
    SELECT event_id, rule FROM ops.event_review
)

INSERT INTO ops.event_review AS existing (event_id, rule, decision, note, decided_by)
SELECT named.event_id, coalesce(found.rule, %(manual)s), %(decision)s, %(reason)s, %(decided_by)s
FROM named
LEFT JOIN found USING (event_id)
WHERE found.rule IS NOT NULL OR %(decision)s = 'withhold'
ON CONFLICT (event_id, rule) DO UPDATE
SET
    decision = excluded.decision,
    note = excluded.note,
    decided_by = excluded.decided_by,
    decided_at = now()
RETURNING event_id::text
