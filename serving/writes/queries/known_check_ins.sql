-- Grain: one row per requested check-in that this API or another source has recorded.
SELECT check_in_id FROM api.check_in_request WHERE check_in_id = ANY(%(check_in_ids)s)
UNION
SELECT check_in_id FROM app.check_ins WHERE check_in_id = ANY(%(check_in_ids)s)
UNION
SELECT entity_id
FROM serving.written_event
WHERE event_type = 'okr.check_in.recorded.v1' AND entity_id = ANY(%(check_in_ids)s)
