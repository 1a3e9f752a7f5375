-- Return the given check-ins whose events name different key results. Before such a check-in is projected, its counted
-- events must be determined.
SELECT named.id
FROM unnest(%(ids)s::text []) AS named (id)
INNER JOIN app.event AS event ON named.id = event.entity_id AND event.event_type = 'okr.check_in.recorded.v1'
GROUP BY named.id
HAVING min(event.data ->> 'key_result_id') <> max(event.data ->> 'key_result_id')
