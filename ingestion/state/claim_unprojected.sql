-- Remove and return entities that a migration listed for projection. The caller projects them in the same transaction.
DELETE FROM app.to_project
WHERE (event_type, entity_id) IN (SELECT event_type, entity_id FROM app.to_project LIMIT %(limit)s)
RETURNING event_type, entity_id
