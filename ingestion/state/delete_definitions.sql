-- Delete the definitions of the given entities that have no counted event left.
DELETE FROM app.newest_event AS existing
USING unnest(%(event_types)s::text [], %(entity_ids)s::text []) AS named (event_type, subject)
WHERE
    existing.event_type = named.event_type
    AND existing.subject = named.subject
    AND NOT EXISTS (
        SELECT FROM app.counted_event AS event
        WHERE event.event_type = named.event_type AND event.entity_id = named.subject
    )
