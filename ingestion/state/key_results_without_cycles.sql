-- Defined key results without a row by cycle: defined before app.key_result_cycles was there. One whose definition is in
-- no counted event cannot be projected, and would be found for ever.
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
