-- Return all teams and cycles. Every entity that belongs to an organisation depends on at least one of them.
SELECT DISTINCT event_type, entity_id
FROM app.event
WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1')
