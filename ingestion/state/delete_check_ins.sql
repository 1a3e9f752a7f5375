-- Delete the given check-ins that have no counted event left. Return their key results.
DELETE FROM app.check_ins AS existing
WHERE
    existing.check_in_id = any(%(ids)s)
    AND NOT EXISTS (
        SELECT FROM app.counted_event AS event
        WHERE event.event_type = 'okr.check_in.recorded.v1' AND event.entity_id = existing.check_in_id
    )
RETURNING existing.key_result_id
