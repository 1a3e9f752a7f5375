-- An id of a check-in is of one key result (ADR 18). What was moved to another one before this revision is read again, and
-- then withheld: an event counts once.
DELETE FROM app.consumer_offset
WHERE
    consumer_group = 'okr-state'
    AND EXISTS (
        SELECT FROM app.event
        WHERE event_type = 'okr.check_in.recorded.v1'
        GROUP BY entity_id
        HAVING min(data ->> 'key_result_id') <> max(data ->> 'key_result_id')
    );
