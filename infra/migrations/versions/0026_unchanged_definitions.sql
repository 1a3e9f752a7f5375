-- A number of an event as the marts read it (dbt has it as the macro of this name): one that double precision cannot hold
-- is 0.
CREATE FUNCTION app.json_float(number text) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN number IS NULL THEN NULL
        WHEN NOT pg_input_is_valid(number, 'double precision') THEN 0.0
        WHEN abs(number::double precision) < 1e-100 THEN 0.0
        ELSE number::double precision
    END
$$;

-- What a definition says of its noun, with the defaults of its contract: two that say the same are equal. dbt has the same
-- fields in the macro definition_columns.
CREATE FUNCTION app.definition_content(event_type text, data jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE event_type
        WHEN 'okr.organisation.defined.v1' THEN jsonb_build_array(data ->> 'name')
        WHEN 'okr.team.defined.v1' THEN jsonb_build_array(data ->> 'organisation_id', data ->> 'name')
        WHEN 'okr.user.defined.v1'
            THEN jsonb_build_array(data ->> 'name', data ->> 'email', data ->> 'team_id')
        WHEN 'okr.cycle.defined.v1'
            THEN jsonb_build_array(
                data ->> 'organisation_id', data ->> 'name', data ->> 'starts_on', data ->> 'ends_on'
            )
        WHEN 'okr.objective.defined.v1'
            THEN jsonb_build_array(
                data ->> 'team_id', data ->> 'cycle_id', data ->> 'title', data ->> 'parent_objective_id',
                data ->> 'owner_user_id'
            )
        WHEN 'okr.key_result.defined.v1'
            THEN jsonb_build_array(
                data ->> 'objective_id', data ->> 'title', data ->> 'unit', data ->> 'direction',
                data ->> 'owner_user_id', app.json_float(data ->> 'baseline'), app.json_float(data ->> 'target'),
                greatest(coalesce(app.json_float(data ->> 'weight'), 1.0), 1e-9)
            )
    END
$$;

-- As before, but a definition that says the same as the one before it revives nothing: a source that sends all its
-- definitions again every night opened what was closed, archived or dissolved.
CREATE OR REPLACE FUNCTION app.endings(ended_type text, ids text []) RETURNS TABLE (
    id text, ended_at timestamptz, revived_at timestamptz, data jsonb
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH logged AS (
        SELECT
            event.entity_id,
            event.event_type = ended_type AS is_ending,
            event.occurred_at,
            event.position,
            event.data,
            app.definition_content(event.event_type, event.data) AS content
        FROM (
            SELECT DISTINCT ending.entity_id
            FROM app.counted_event AS ending
            WHERE ending.event_type = ended_type AND (ids IS NULL OR ending.entity_id = ANY(ids))
        ) AS ended
        INNER JOIN app.counted_event AS event
            ON ended.entity_id = event.entity_id
            AND event.event_type IN (ended_type, 'okr.' || split_part(ended_type, '.', 2) || '.defined.v1')
    ),

    told AS (
        SELECT
            logged.*,
            NOT logged.is_ending AND logged.content IS NOT DISTINCT FROM lag(logged.content) OVER (
                PARTITION BY logged.entity_id, logged.is_ending ORDER BY logged.occurred_at, logged.position
            ) AS is_repeated
        FROM logged
    ),

    compared AS (
        SELECT
            told.*,
            coalesce(lag(told.is_ending) OVER (
                PARTITION BY told.entity_id ORDER BY told.occurred_at, told.position
            ), false) AS was_ended
        FROM told
        WHERE NOT told.is_repeated
    ),

    changed AS (
        SELECT
            compared.*,
            lead(compared.occurred_at) OVER (
                PARTITION BY compared.entity_id ORDER BY compared.occurred_at, compared.position
            ) AS revived_at
        FROM compared
        WHERE compared.is_ending <> compared.was_ended
    )

    SELECT changed.entity_id, changed.occurred_at, changed.revived_at, changed.data
    FROM changed
    WHERE changed.is_ending
$$;
COMMENT ON FUNCTION app.endings IS 'When key results, objectives and teams were archived, cycles closed, users deactivated; revived_at is null while they are. A definition that says anything else than the one before it revives.';

-- What was revived by mere repetition is projected again: an event counts once.
DELETE FROM app.consumer_offset
WHERE
    consumer_group = 'okr-state'
    AND EXISTS (
        SELECT FROM app.event
        WHERE
            event_type IN (
                'okr.team.archived.v1', 'okr.cycle.closed.v1', 'okr.user.deactivated.v1', 'okr.objective.archived.v1',
                'okr.key_result.archived.v1'
            )
    );
