-- Defined key results whose rows may change: through their own definition, ending or check-in, their owner, an objective
-- that they ever had, or a dissolved team or a cycle that such an objective ever had.
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
    -- Objectives handed on by a dissolved team may pass through other dissolved teams.
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
