-- Each named event under the rules that found it, or as a decision of the operator's own where none did.
INSERT INTO ops.event_review AS kept (event_id, rule, decision, note, decided_by)
SELECT named.event_id, coalesce(found.rule, %(manual)s), %(decision)s, %(note)s, %(decided_by)s
FROM (SELECT DISTINCT unnest(%(event_ids)s::uuid []) AS event_id) AS named
LEFT JOIN marts.fct_reviewed_event AS found USING (event_id)
ON CONFLICT (event_id, rule) DO UPDATE
SET
    decision = excluded.decision,
    note = excluded.note,
    decided_by = excluded.decided_by,
    decided_at = now()
RETURNING event_id::text
