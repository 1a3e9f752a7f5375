-- Return all teams and cycles. Entities that depend on none of them belong to no organisation.
SELECT DISTINCT event_type, entity_id
FROM app.event
WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1')
