-- Check-ins of these ids that name more than one key result: which of them counts is decided before they are projected.
SELECT named.id
FROM unnest(%(ids)s::text []) AS named (id)
INNER JOIN app.event AS event ON named.id = event.entity_id AND event.event_type = 'okr.check_in.recorded.v1'
GROUP BY named.id
HAVING min(event.data ->> 'key_result_id') <> max(event.data ->> 'key_result_id')
