-- Grain: one row per event of a request, in order.
SELECT event_id, event_type, entity_id, occurred_at, data
FROM serving.written_event
WHERE request_id = %(request_id)s
ORDER BY item
