-- Return the given entities and all entities that depend on them. The organisation of each of these may have changed.
WITH moved_objective AS (
    SELECT unnest(%(objectives)s::text []) AS id
    UNION
    SELECT entity_id FROM app.event
    WHERE event_type = 'okr.objective.defined.v1' AND data ->> 'team_id' = any(%(teams)s::text [])
    UNION
    SELECT entity_id FROM app.event
    WHERE event_type = 'okr.objective.defined.v1' AND data ->> 'cycle_id' = any(%(cycles)s::text [])
),

moved_key_result AS (
    SELECT unnest(%(key_results)s::text []) AS id
    UNION
    SELECT event.entity_id
    FROM moved_objective
    INNER JOIN app.event AS event
        ON moved_objective.id = event.data ->> 'objective_id' AND event.event_type = 'okr.key_result.defined.v1'
),

moved_user AS (
    SELECT unnest(%(users)s::text []) AS id
    UNION
    SELECT entity_id FROM app.event
    WHERE event_type = 'okr.user.defined.v1' AND data ->> 'team_id' = any(%(teams)s::text [])
)

SELECT split_part(event.event_type, '.', 2) AS entity_type, event.entity_id AS id
FROM moved_user
INNER JOIN app.event AS event ON moved_user.id = event.data ->> 'user_id'
WHERE
    event.event_type IN (
        'okr.check_in.recorded.v1', 'okr.key_result.archived.v1', 'okr.objective.archived.v1',
        'okr.cycle.closed.v1'
    )
UNION
SELECT 'check_in', event.entity_id
FROM moved_key_result
INNER JOIN app.event AS event
    ON moved_key_result.id = event.data ->> 'key_result_id' AND event.event_type = 'okr.check_in.recorded.v1'
UNION
SELECT 'team', entity_id FROM app.event
WHERE event_type = 'okr.team.archived.v1' AND data ->> 'successor_team_id' = any(%(teams)s::text [])
UNION
SELECT 'objective', id FROM moved_objective
UNION
SELECT 'key_result', id FROM moved_key_result
UNION
SELECT 'user', id FROM moved_user
UNION
SELECT 'organisation', unnest(%(organisations)s::text [])
UNION
SELECT 'team', unnest(%(teams)s::text [])
UNION
SELECT 'cycle', unnest(%(cycles)s::text [])
UNION
SELECT 'check_in', unnest(%(check_ins)s::text [])
