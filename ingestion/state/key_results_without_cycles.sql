-- Return key results that have no row in app.key_result_cycles because they were defined before that table existed.
-- Those without a counted definition are excluded. They cannot be projected, so every call would return them again.
SELECT subject
FROM app.newest_event
WHERE
    event_type = 'okr.key_result.defined.v1'
    AND NOT EXISTS (
        SELECT FROM app.key_result_cycles AS projected WHERE projected.key_result_id = newest_event.subject
    )
    AND EXISTS (
        SELECT FROM app.counted_event AS counted
        WHERE counted.event_type = 'okr.key_result.defined.v1' AND counted.entity_id = newest_event.subject
    )
LIMIT %(limit)s
