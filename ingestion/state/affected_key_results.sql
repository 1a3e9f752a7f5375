-- Return the defined key results whose rows may change because of the given entities. These are the given key results,
-- those owned by a given user, and those that ever belonged to an affected objective. An objective is affected if it is
-- given, or if it was ever in a given cycle. If a given team is dissolved, every objective that was ever in a dissolved
-- team is affected.
WITH dissolved AS (
    SELECT entity_id
    FROM app.event
    WHERE event_type = 'okr.team.archived.v1'
),

objective AS (
    SELECT unnest(%(objectives)s::text []) AS objective_id
    UNION
    SELECT entity_id
    FROM app.event
    WHERE event_type = 'okr.objective.defined.v1' AND data ->> 'cycle_id' = any(%(cycles)s::text [])
    UNION
    -- The successor of a dissolved team may be dissolved too, so the objectives of all dissolved teams are included.
    SELECT event.entity_id
    FROM app.event AS event
    INNER JOIN dissolved ON event.data ->> 'team_id' = dissolved.entity_id
    WHERE
        event.event_type = 'okr.objective.defined.v1'
        AND EXISTS (SELECT FROM dissolved AS changed WHERE changed.entity_id = any(%(teams)s::text []))
)

SELECT entity_id
FROM app.event
WHERE event_type = 'okr.key_result.defined.v1' AND entity_id = any(%(key_results)s::text [])
UNION
SELECT subject
FROM app.newest_event
WHERE event_type = 'okr.key_result.defined.v1' AND data ->> 'owner_user_id' = any(%(users)s::text [])
UNION
SELECT event.entity_id
FROM app.event AS event
INNER JOIN objective ON event.data ->> 'objective_id' = objective.objective_id
WHERE event.event_type = 'okr.key_result.defined.v1'
