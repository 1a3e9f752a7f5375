-- Determine which events of the given entities are withheld, by the same rules as intermediate.int_withheld_event. The
-- first counted event of an entity in the log determines its organisation, and the first counted event of a check-in
-- determines its key result. A later event that contradicts this is withheld unless an operator released it.
-- Return the entity of each event whose withheld_because changed.
WITH named AS (
    SELECT entity_type, id FROM unnest(%(entity_types)s::text [], %(ids)s::text []) AS named (entity_type, id)
),

named_event AS MATERIALIZED (
    SELECT named.entity_type, event.*
    FROM named
    CROSS JOIN LATERAL unnest(ARRAY[
        'okr.' || named.entity_type || '.defined.v1', 'okr.' || named.entity_type || '.archived.v1',
        'okr.' || named.entity_type || '.closed.v1', 'okr.' || named.entity_type || '.deactivated.v1',
        'okr.' || named.entity_type || '.recorded.v1'
    ]) AS kind (event_type)
    INNER JOIN app.event AS event ON kind.event_type = event.event_type AND named.id = event.entity_id
),

-- The entities on which the given ones depend, with all events that determine their organisation.
needed_key_result AS (
    SELECT id FROM named WHERE entity_type = 'key_result'
    UNION
    SELECT data ->> 'key_result_id' FROM named_event WHERE entity_type = 'check_in'
),

key_result_event AS MATERIALIZED (
    SELECT event.*
    FROM needed_key_result
    INNER JOIN app.event AS event
        ON needed_key_result.id = event.entity_id AND event.event_type = 'okr.key_result.defined.v1'
),

needed_objective AS (
    SELECT id FROM named WHERE entity_type = 'objective'
    UNION
    SELECT data ->> 'objective_id' FROM key_result_event
),

objective_event AS MATERIALIZED (
    SELECT event.*
    FROM needed_objective
    INNER JOIN app.event AS event
        ON needed_objective.id = event.entity_id AND event.event_type = 'okr.objective.defined.v1'
),

needed_user AS (
    SELECT id FROM named WHERE entity_type = 'user'
    UNION
    SELECT data ->> 'user_id' FROM named_event WHERE entity_type <> 'user' AND data ? 'user_id'
),

user_event AS MATERIALIZED (
    SELECT event.*
    FROM needed_user
    INNER JOIN app.event AS event ON needed_user.id = event.entity_id AND event.event_type = 'okr.user.defined.v1'
),

needed_root AS (
    SELECT 'okr.team.defined.v1' AS event_type, id FROM named WHERE entity_type = 'team'
    UNION
    SELECT 'okr.cycle.defined.v1', id FROM named WHERE entity_type = 'cycle'
    UNION
    SELECT 'okr.team.defined.v1', data ->> 'successor_team_id' FROM named_event
    WHERE event_type = 'okr.team.archived.v1'
    UNION
    SELECT 'okr.team.defined.v1', data ->> 'team_id' FROM objective_event
    UNION
    SELECT 'okr.team.defined.v1', data ->> 'team_id' FROM user_event
    UNION
    SELECT 'okr.cycle.defined.v1', data ->> 'cycle_id' FROM objective_event
),

released AS (
    SELECT DISTINCT event_id FROM ops.event_review WHERE decision = 'release'
),

withheld AS (
    SELECT DISTINCT event_id FROM ops.event_review WHERE decision = 'withhold'
),

-- A claim is the statement of one event that its entity belongs to one of `organisation_ids`. Claims of events that an
-- operator withheld are ignored, and so are claims that contradict themselves, unless they were released. Otherwise, an
-- incorrect event would prevent the corrected one from being counted.
root_claim AS (
    SELECT
        split_part(event.event_type, '.', 2) AS entity_type,
        event.entity_id,
        event.event_id,
        event.position,
        ARRAY[event.data ->> 'organisation_id'] AS organisation_ids
    FROM needed_root
    INNER JOIN app.event AS event ON needed_root.id = event.entity_id AND needed_root.event_type = event.event_type
),

root AS MATERIALIZED (
    SELECT
        entity_type,
        entity_id,
        app.organisations_of(organisation_ids, event_id IN (SELECT event_id FROM released) ORDER BY position)
            AS organisation_ids
    FROM root_claim
    WHERE event_id NOT IN (SELECT event_id FROM withheld)
    GROUP BY entity_type, entity_id
),

objective_claim AS MATERIALIZED (
    SELECT
        'objective' AS entity_type,
        event.entity_id,
        event.event_id,
        event.position,
        CASE
            WHEN team.organisation_ids && cycle.organisation_ids
                THEN ARRAY(SELECT unnest(team.organisation_ids) INTERSECT SELECT unnest(cycle.organisation_ids))
            ELSE coalesce(team.organisation_ids, cycle.organisation_ids)
        END AS organisation_ids,
        event.data ->> 'team_id' AS team_id,
        event.data ->> 'cycle_id' AS cycle_id,
        team.organisation_ids AS team_organisation_ids,
        cycle.organisation_ids AS cycle_organisation_ids
    FROM objective_event AS event
    LEFT JOIN root AS team ON team.entity_type = 'team' AND event.data ->> 'team_id' = team.entity_id
    LEFT JOIN root AS cycle ON cycle.entity_type = 'cycle' AND event.data ->> 'cycle_id' = cycle.entity_id
),

objective AS MATERIALIZED (
    SELECT
        entity_type,
        entity_id,
        app.organisations_of(organisation_ids, event_id IN (SELECT event_id FROM released) ORDER BY position)
            AS organisation_ids
    FROM objective_claim
    WHERE
        event_id NOT IN (SELECT event_id FROM withheld)
        AND (
            (NOT team_organisation_ids && cycle_organisation_ids) IS NOT TRUE
            OR event_id IN (SELECT event_id FROM released)
        )
    GROUP BY entity_type, entity_id
),

dependent_claim AS MATERIALIZED (
    SELECT 'key_result' AS entity_type, event.entity_id, event.event_id, event.position, objective.organisation_ids
    FROM key_result_event AS event
    LEFT JOIN objective ON event.data ->> 'objective_id' = objective.entity_id
    UNION ALL
    SELECT 'user', event.entity_id, event.event_id, event.position, root.organisation_ids
    FROM user_event AS event
    LEFT JOIN root ON root.entity_type = 'team' AND event.data ->> 'team_id' = root.entity_id
),

dependent AS MATERIALIZED (
    SELECT
        entity_type,
        entity_id,
        app.organisations_of(organisation_ids, event_id IN (SELECT event_id FROM released) ORDER BY position)
            AS organisation_ids
    FROM dependent_claim
    WHERE event_id NOT IN (SELECT event_id FROM withheld)
    GROUP BY entity_type, entity_id
),

-- The organisation of a user's action on an entity is the one that the event names or, if it names none, the user's.
user_action AS MATERIALIZED (
    SELECT
        CASE event.entity_type WHEN 'check_in' THEN 'key_result' ELSE event.entity_type END AS entity_type,
        coalesce(event.data ->> 'key_result_id', event.entity_id) AS entity_id,
        event.event_id,
        CASE
            WHEN event.data ->> 'organisation_id' IS NOT NULL THEN ARRAY[event.data ->> 'organisation_id']
            ELSE dependent.organisation_ids
        END AS organisation_ids
    FROM named_event AS event
    LEFT JOIN dependent ON dependent.entity_type = 'user' AND event.data ->> 'user_id' = dependent.entity_id
    WHERE
        event.event_type IN (
            'okr.check_in.recorded.v1', 'okr.key_result.archived.v1', 'okr.objective.archived.v1',
            'okr.cycle.closed.v1'
        )
),

claim AS (
    SELECT entity_type, entity_id, event_id, organisation_ids FROM root_claim
    UNION ALL
    SELECT entity_type, entity_id, event_id, organisation_ids FROM objective_claim
    UNION ALL
    SELECT entity_type, entity_id, event_id, organisation_ids FROM dependent_claim
    UNION ALL
    SELECT entity_type, entity_id, event_id, organisation_ids FROM user_action
    UNION ALL
    SELECT 'team', event.entity_id, event.event_id, root.organisation_ids
    FROM named_event AS event
    INNER JOIN root ON root.entity_type = 'team' AND event.data ->> 'successor_team_id' = root.entity_id
    WHERE event.event_type = 'okr.team.archived.v1'
),

owned AS (
    SELECT * FROM root
    UNION ALL
    SELECT * FROM objective
    UNION ALL
    SELECT * FROM dependent
),

reason AS (
    SELECT
        claim.event_id,
        format(
            '%%s %%s belongs to organisation %%s, but this event says %%s.',
            CASE claim.entity_type WHEN 'key_result' THEN 'key result' ELSE claim.entity_type END,
            claim.entity_id, array_to_string(owned.organisation_ids, ' or '),
            array_to_string(claim.organisation_ids, ' or ')
        ) AS reason
    FROM claim
    INNER JOIN owned USING (entity_type, entity_id)
    WHERE NOT claim.organisation_ids && owned.organisation_ids
    UNION ALL
    SELECT
        event_id,
        format(
            'objective %%s belongs to team %%s in organisation %%s, but to cycle %%s in organisation %%s.',
            entity_id, team_id,
            array_to_string(team_organisation_ids, ' or '), cycle_id, array_to_string(cycle_organisation_ids, ' or ')
        )
    FROM objective_claim
    WHERE NOT team_organisation_ids && cycle_organisation_ids
),

misplaced AS MATERIALIZED (
    SELECT event_id, reason
    FROM reason
    WHERE
        %(has_several_organisations)s
        AND event_id NOT IN (
            SELECT event_id FROM ops.event_review WHERE rule = 'other_organisation' AND decision = 'release'
        )
),

-- A check-in belongs to the key result that its first counted event in the log names.
key_result_claim AS MATERIALIZED (
    SELECT
        entity_id,
        event_id,
        position,
        data ->> 'key_result_id' AS key_result_id,
        event_id IN (
            SELECT event_id FROM ops.event_review WHERE rule = 'other_key_result' AND decision = 'release'
        ) AS is_released
    FROM named_event
    WHERE event_type = 'okr.check_in.recorded.v1'
),

key_result_owner AS (
    SELECT
        entity_id,
        -- The aggregate works for any ids, not only for those of organisations.
        app.organisations_of(ARRAY[key_result_id], is_released ORDER BY position) AS key_result_ids
    FROM key_result_claim
    WHERE
        event_id NOT IN (SELECT event_id FROM withheld)
        AND event_id NOT IN (SELECT event_id FROM misplaced)
    GROUP BY entity_id
),

found AS (
    SELECT event_id, string_agg(DISTINCT reason, ' ' ORDER BY reason) AS withheld_because
    FROM (
        SELECT event_id, reason
        FROM misplaced
        UNION ALL
        SELECT
            claimed.event_id,
            format(
                'check-in %%s belongs to key result %%s, but this event says %%s.', claimed.entity_id,
                array_to_string(key_result_owner.key_result_ids, ' or '), claimed.key_result_id
            )
        FROM key_result_claim AS claimed
        INNER JOIN key_result_owner USING (entity_id)
        WHERE claimed.key_result_id <> ALL(key_result_owner.key_result_ids) AND NOT claimed.is_released
        UNION ALL
        SELECT event_id, 'An operator withheld it.'
        FROM ops.event_review
        WHERE decision = 'withhold'
    ) AS withheld
    GROUP BY event_id
)

UPDATE app.event AS event
SET withheld_because = found.withheld_because
FROM named_event
LEFT JOIN found USING (event_id)
WHERE
    event.event_type = named_event.event_type
    AND event.entity_id = named_event.entity_id
    AND event.event_id = named_event.event_id
    AND event.withheld_because IS DISTINCT FROM found.withheld_because
RETURNING event.event_type, event.entity_id
