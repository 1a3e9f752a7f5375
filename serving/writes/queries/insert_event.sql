-- Stores an event of a request.
INSERT INTO serving.written_event (event_id, request_id, item, event_type, entity_id, occurred_at, data)
VALUES (%(event_id)s, %(request_id)s, %(item)s, %(event_type)s, %(entity_id)s, %(occurred_at)s, %(data)s)
RETURNING event_id
