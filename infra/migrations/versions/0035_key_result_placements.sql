-- The objective, team and cycle of key results at each moment (ADR 19), as in intermediate.int_key_result_placement. It was part
-- of the statement that projects app.key_result_cycles.
CREATE FUNCTION app.key_result_placements(ids text []) RETURNS TABLE (
    key_result_id text,
    from_at timestamptz,
    to_at timestamptz,
    data jsonb,
    defined_at timestamptz,
    objective_id text,
    team_id text,
    cycle_id text,
    stay_number bigint,
    is_archived boolean,
    archived_at timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- Of definitions of one moment the last one in the log holds; the first definition also holds before its own moment.
    WITH key_result AS (
        SELECT
            defined.*,
            CASE
                WHEN row_number() OVER by_time = 1 THEN '-infinity' ELSE defined.occurred_at
            END AS from_at,
            coalesce(lead(defined.occurred_at) OVER by_time, 'infinity') AS to_at,
            min(defined.occurred_at) OVER (PARTITION BY defined.key_result_id) AS defined_at
        FROM (
            SELECT DISTINCT ON (event.entity_id, event.occurred_at)
                event.entity_id AS key_result_id,
                event.occurred_at,
                event.data
            FROM unnest(ids) AS named (key_result_id)
            INNER JOIN app.counted_event AS event
                ON named.key_result_id = event.entity_id AND event.event_type = 'okr.key_result.defined.v1'
            ORDER BY event.entity_id, event.occurred_at, event.position DESC
        ) AS defined
        WINDOW by_time AS (PARTITION BY defined.key_result_id ORDER BY defined.occurred_at)
    ),

    objective AS (
        SELECT
            defined.*,
            CASE
                WHEN row_number() OVER by_time = 1 THEN '-infinity' ELSE defined.occurred_at
            END AS from_at,
            coalesce(lead(defined.occurred_at) OVER by_time, 'infinity') AS to_at
        FROM (
            SELECT DISTINCT ON (event.entity_id, event.occurred_at)
                event.entity_id AS objective_id,
                event.occurred_at,
                event.data
            FROM (SELECT DISTINCT data ->> 'objective_id' AS objective_id FROM key_result) AS named
            INNER JOIN app.counted_event AS event
                ON named.objective_id = event.entity_id AND event.event_type = 'okr.objective.defined.v1'
            ORDER BY event.entity_id, event.occurred_at, event.position DESC
        ) AS defined
        WINDOW by_time AS (PARTITION BY defined.objective_id ORDER BY defined.occurred_at)
    ),

    defined AS (
        SELECT
            key_result.key_result_id,
            key_result.data,
            key_result.defined_at,
            key_result.data ->> 'objective_id' AS objective_id,
            objective.data ->> 'team_id' AS defined_team_id,
            objective.data ->> 'cycle_id' AS cycle_id,
            greatest(key_result.from_at, coalesce(objective.from_at, '-infinity')) AS from_at,
            least(key_result.to_at, coalesce(objective.to_at, 'infinity')) AS to_at
        FROM key_result
        LEFT JOIN objective
            ON key_result.data ->> 'objective_id' = objective.objective_id
            AND key_result.from_at < objective.to_at AND objective.from_at < key_result.to_at
    ),

    -- A move out of a cycle that has started into one that has not takes effect when that one starts.
    moved AS (
        SELECT
            compared.*,
            CASE
                WHEN
                    is_move AND begins_at > from_at
                    AND min(begins_at) OVER (
                        PARTITION BY key_result_id ORDER BY from_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ) <= from_at
                    THEN begins_at
                ELSE from_at
            END AS effective_at,
            count(*) FILTER (WHERE is_move) OVER (PARTITION BY key_result_id ORDER BY from_at) AS move_number
        FROM (
            SELECT
                defined.*,
                (cycle.data ->> 'starts_on')::date::timestamp AT TIME ZONE 'UTC' AS begins_at,
                defined.cycle_id IS DISTINCT FROM lag(defined.cycle_id) OVER by_time
                AND lag(defined.from_at) OVER by_time IS NOT NULL AS is_move
            FROM defined
            LEFT JOIN app.newest_event AS cycle
                ON defined.cycle_id = cycle.subject AND cycle.event_type = 'okr.cycle.defined.v1'
            WINDOW by_time AS (PARTITION BY defined.key_result_id ORDER BY defined.from_at)
        ) AS compared
    ),

    by_objective AS (
        SELECT *
        FROM (
            SELECT
                key_result_id,
                data,
                defined_at,
                objective_id,
                defined_team_id,
                cycle_id,
                greatest(
                    from_at, first_value(effective_at) OVER (PARTITION BY key_result_id, move_number ORDER BY from_at)
                ) AS from_at,
                CASE
                    WHEN lead(move_number) OVER by_time = move_number THEN least(to_at, until_at) ELSE until_at
                END AS to_at
            FROM (
                SELECT
                    moved.*,
                    coalesce(
                        min(effective_at) FILTER (WHERE is_move) OVER (
                            PARTITION BY key_result_id ORDER BY from_at ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
                        ),
                        'infinity'
                    ) AS until_at
                FROM moved
            ) AS followed
            WINDOW by_time AS (PARTITION BY key_result_id ORDER BY from_at)
        ) AS piece
        WHERE from_at < to_at
    ),

    placed AS (
        SELECT
            by_objective.key_result_id,
            by_objective.data,
            by_objective.defined_at,
            by_objective.objective_id,
            coalesce(holder.holder_id, by_objective.defined_team_id) AS team_id,
            by_objective.cycle_id,
            holder.team_id IS NOT NULL AND holder.holder_id IS NULL AS is_team_dissolved,
            tstzrange(by_objective.from_at, by_objective.to_at)
            * coalesce(holder.span, tstzrange('-infinity', 'infinity')) AS span
        FROM by_objective
        LEFT JOIN app.team_holders AS holder
            ON by_objective.defined_team_id = holder.team_id
            AND tstzrange(by_objective.from_at, by_objective.to_at) && holder.span
    ),

    archived AS (
        SELECT id, is_of_objective, range_agg(tstzrange(ended_at, coalesce(revived_at, 'infinity'))) AS spans
        FROM (
            SELECT id, false AS is_of_objective, ended_at, revived_at
            FROM app.endings('okr.key_result.archived.v1', ids)
            UNION ALL
            SELECT id, true, ended_at, revived_at
            FROM app.endings('okr.objective.archived.v1', (SELECT array_agg(DISTINCT objective_id) FROM placed))
        ) AS ending
        WHERE ended_at IS DISTINCT FROM revived_at
        GROUP BY id, is_of_objective
    ),

    cut AS (
        SELECT
            placed.*,
            piece.is_archived,
            lower(piece.span) AS from_at,
            upper(piece.span) AS to_at
        FROM placed
        LEFT JOIN archived AS own ON placed.key_result_id = own.id AND NOT own.is_of_objective
        LEFT JOIN archived AS by_objective
            ON placed.objective_id = by_objective.id AND by_objective.is_of_objective
        CROSS JOIN LATERAL (
            SELECT
                coalesce(own.spans, '{}'::tstzmultirange) + coalesce(by_objective.spans, '{}'::tstzmultirange)
                + CASE
                    WHEN placed.is_team_dissolved THEN tstzmultirange(placed.span) ELSE '{}'::tstzmultirange
                END AS spans
        ) AS ended
        CROSS JOIN LATERAL (
            SELECT unnest(tstzmultirange(placed.span) - ended.spans) AS span, false AS is_archived
            UNION ALL
            SELECT unnest(tstzmultirange(placed.span) * ended.spans), true
        ) AS piece
        WHERE NOT isempty(placed.span)
    )

    SELECT
        key_result_id,
        from_at,
        to_at,
        data,
        defined_at,
        objective_id,
        team_id,
        cycle_id,
        1 + count(*) FILTER (WHERE is_new_stay) OVER by_time AS stay_number,
        is_archived,
        max(from_at) FILTER (WHERE is_new_archival) OVER by_time AS archived_at
    FROM (
        SELECT
            *,
            cycle_id IS DISTINCT FROM lag(cycle_id) OVER by_time AND lag(from_at) OVER by_time IS NOT NULL
                AS is_new_stay,
            is_archived AND lag(is_archived) OVER by_time IS NOT TRUE AS is_new_archival
        FROM cut
        WINDOW by_time AS (PARTITION BY key_result_id ORDER BY from_at)
    ) AS changed
    WINDOW by_time AS (PARTITION BY key_result_id ORDER BY from_at)
$$;
COMMENT ON FUNCTION app.key_result_placements IS 'Grain: one row per key result and span of time, from -infinity to infinity, in which its definition, objective, team and cycle stay the same and it is archived or not. A stay is an unbroken time in one cycle; archived_at is when the latest archival began.';
