-- Key results in each cycle that they count in, as intermediate.int_key_result_cycle has them: where they are now, were
-- closed, or still were when the cycle ended. Check-ins count where the key result was when they happened.
WITH named AS (
    SELECT subject AS key_result_id FROM unnest(%(subjects)s::text []) AS named (subject)
),

-- The last one in the log of each moment; the first one answers for the time before it.
key_result AS (
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
        FROM named
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

placed AS (
    SELECT
        key_result.key_result_id,
        key_result.data,
        key_result.defined_at,
        key_result.data ->> 'objective_id' AS objective_id,
        coalesce(holder.holder_id, objective.data ->> 'team_id') AS team_id,
        objective.data ->> 'cycle_id' AS cycle_id,
        holder.team_id IS NOT NULL AND holder.holder_id IS NULL AS is_team_dissolved,
        tstzrange(key_result.from_at, key_result.to_at)
        * coalesce(tstzrange(objective.from_at, objective.to_at), tstzrange('-infinity', 'infinity'))
        * coalesce(holder.span, tstzrange('-infinity', 'infinity')) AS span
    FROM key_result
    LEFT JOIN objective
        ON key_result.data ->> 'objective_id' = objective.objective_id
        AND key_result.from_at < objective.to_at AND objective.from_at < key_result.to_at
    LEFT JOIN app.team_holders AS holder
        ON objective.data ->> 'team_id' = holder.team_id
        AND tstzrange(key_result.from_at, key_result.to_at) * tstzrange(objective.from_at, objective.to_at)
        && holder.span
),

archived AS (
    SELECT id, is_of_objective, range_agg(tstzrange(ended_at, coalesce(revived_at, 'infinity'))) AS spans
    FROM (
        SELECT id, false AS is_of_objective, ended_at, revived_at
        FROM app.endings('okr.key_result.archived.v1', %(subjects)s::text [])
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
),

numbered AS (
    SELECT
        *,
        1 + count(*) FILTER (WHERE is_new_stay) OVER by_time AS stay_number,
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
),

cycle AS (
    SELECT
        defined.subject AS cycle_id,
        closing.ended_at AS closed_at,
        least(
            ((defined.data ->> 'ends_on')::date + 1)::timestamp AT TIME ZONE 'UTC', closing.ended_at
        ) AS ended_at
    FROM (SELECT DISTINCT cycle_id FROM placed) AS named
    INNER JOIN app.newest_event AS defined
        ON named.cycle_id = defined.subject AND defined.event_type = 'okr.cycle.defined.v1'
    LEFT JOIN app.endings(
        'okr.cycle.closed.v1', (SELECT array_agg(DISTINCT cycle_id) FROM placed)
    ) AS closing
        ON defined.subject = closing.id AND closing.revived_at IS NULL
),

stay_span AS (
    SELECT
        key_result_id,
        stay_number,
        cycle_id,
        min(from_at) AS from_at,
        max(to_at) AS to_at,
        max(defined_at) AS defined_at
    FROM numbered
    GROUP BY key_result_id, stay_number, cycle_id
),

stay AS (
    SELECT
        stay_span.*,
        stay_span.to_at = 'infinity'
        OR coalesce(
            greatest(stay_span.from_at, stay_span.defined_at) < cycle.ended_at AND cycle.ended_at <= stay_span.to_at,
            false
        )
        OR EXISTS (
            SELECT FROM app.check_ins AS closing
            WHERE
                closing.key_result_id = stay_span.key_result_id AND closing.is_final
                AND closing.checked_in_at >= stay_span.from_at AND closing.checked_in_at < stay_span.to_at
        ) AS is_counted
    FROM stay_span
    LEFT JOIN cycle USING (cycle_id)
),

counting AS (
    SELECT
        *,
        min(stay_number) FILTER (WHERE is_counted) OVER (
            PARTITION BY key_result_id ORDER BY stay_number ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS counted_stay_number
    FROM stay
),

counted_span AS (
    SELECT
        numbered.*,
        counting.counted_stay_number,
        target.cycle_id AS counted_cycle_id
    FROM numbered
    INNER JOIN counting USING (key_result_id, stay_number)
    INNER JOIN counting AS target
        ON numbered.key_result_id = target.key_result_id AND counting.counted_stay_number = target.stay_number
),

counted AS (
    SELECT
        key_result_id,
        counted_cycle_id AS cycle_id,
        greatest(min(from_at) FILTER (WHERE stay_number = counted_stay_number), max(defined_at)) AS opened_at,
        max(to_at) AS to_at
    FROM counted_span
    GROUP BY key_result_id, counted_cycle_id
),

-- The latest closing check-in, else the latest one; after its cycle was closed each one is a correction that closes.
answer AS (
    SELECT DISTINCT ON (counted_span.key_result_id, counted_span.counted_cycle_id)
        counted_span.key_result_id,
        counted_span.counted_cycle_id AS cycle_id,
        check_in.value,
        check_in.checked_in_at,
        check_in.kafka_offset,
        closing.is_closing
    FROM app.check_ins AS check_in
    INNER JOIN counted_span
        ON check_in.key_result_id = counted_span.key_result_id
        AND check_in.checked_in_at >= counted_span.from_at AND check_in.checked_in_at < counted_span.to_at
    LEFT JOIN cycle ON counted_span.counted_cycle_id = cycle.cycle_id
    CROSS JOIN LATERAL (
        SELECT
            (check_in.is_final OR coalesce(check_in.checked_in_at > cycle.closed_at, false))
            AND NOT counted_span.is_archived AS is_closing
    ) AS closing
    ORDER BY
        counted_span.key_result_id, counted_span.counted_cycle_id, closing.is_closing DESC,
        check_in.checked_in_at DESC, check_in.position DESC
),

closed AS (
    SELECT
        counted.key_result_id,
        counted.cycle_id,
        counted.to_at,
        cycle.ended_at AS cycle_ended_at,
        answer.value,
        answer.checked_in_at,
        answer.kafka_offset,
        coalesce(answer.is_closing, false) AS is_closed_by_check_in,
        CASE
            WHEN answer.is_closing THEN answer.checked_in_at
            WHEN counted.opened_at <= cycle.closed_at THEN cycle.closed_at
        END AS closed_at
    FROM counted
    LEFT JOIN cycle ON counted.cycle_id = cycle.cycle_id
    LEFT JOIN answer
        ON counted.key_result_id = answer.key_result_id AND counted.cycle_id IS NOT DISTINCT FROM answer.cycle_id
),

-- As it was when it was closed, else when it left the ended cycle, else as it is now.
held AS (
    SELECT DISTINCT ON (closed.key_result_id, closed.cycle_id)
        closed.*,
        counted_span.data,
        counted_span.objective_id,
        counted_span.team_id,
        counted_span.is_archived,
        counted_span.archived_at,
        closed.closed_at IS NOT NULL AND NOT counted_span.is_archived AS is_closed,
        (counted_span.data ->> 'baseline')::float8 AS baseline,
        (counted_span.data ->> 'target')::float8 AS target
    FROM closed
    INNER JOIN counted_span
        ON closed.key_result_id = counted_span.key_result_id
        AND closed.cycle_id IS NOT DISTINCT FROM counted_span.counted_cycle_id
        AND CASE
            WHEN closed.is_closed_by_check_in OR closed.to_at = 'infinity' AND closed.closed_at IS NOT NULL
                THEN counted_span.from_at <= closed.closed_at
            WHEN closed.to_at < 'infinity' THEN counted_span.from_at < least(closed.cycle_ended_at, closed.to_at)
            ELSE true
        END
    ORDER BY closed.key_result_id, closed.cycle_id, counted_span.from_at DESC
)

INSERT INTO app.key_result_cycles (
    key_result_id, cycle_id, objective_id, team_id, title, owner_user_id, baseline, target, weight, is_current,
    is_archived, archived_at, is_closed, closed_at, last_value, last_check_in_at, last_check_in_offset, progress
)
SELECT
    key_result_id,
    cycle_id,
    objective_id,
    team_id,
    data ->> 'title',
    data ->> 'owner_user_id',
    baseline,
    target,
    coalesce((data ->> 'weight')::float8, 1.0),
    to_at = 'infinity',
    is_archived,
    CASE WHEN is_archived THEN archived_at END,
    is_closed,
    CASE WHEN is_closed THEN closed_at END,
    value,
    checked_in_at,
    kafka_offset,
    (coalesce(value, CASE WHEN is_closed THEN baseline END) - baseline) / (target - baseline)
FROM held
