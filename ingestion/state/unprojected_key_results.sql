-- Defined key results without a row by cycle: defined before app.key_result_cycles was there.
SELECT subject
FROM app.newest_event
WHERE
    event_type = 'okr.key_result.defined.v1'
    AND NOT EXISTS (
        SELECT FROM app.key_result_cycles AS projected WHERE projected.key_result_id = newest_event.subject
    )
LIMIT %(limit)s
