-- Key results in each cycle that they count in, as intermediate.int_key_result_cycle has them: where they are now, were
-- closed, or still were when the cycle ended. Check-ins count where the key result was when they happened, but for one that
-- closes the cycle that was left.
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

cycle AS (
    SELECT
        defined.subject AS cycle_id,
        (defined.data ->> 'starts_on')::date AS cycle_start,
        (defined.data ->> 'ends_on')::date AS cycle_end,
        closing.ended_at AS closed_at,
        least(
            ((defined.data ->> 'ends_on')::date + 1)::timestamp AT TIME ZONE 'UTC', closing.ended_at
        ) AS ended_at
    FROM (SELECT DISTINCT cycle_id FROM defined) AS named
    INNER JOIN app.newest_event AS defined
        ON named.cycle_id = defined.subject AND defined.event_type = 'okr.cycle.defined.v1'
    LEFT JOIN app.endings(
        'okr.cycle.closed.v1', (SELECT array_agg(DISTINCT cycle_id) FROM defined)
    ) AS closing
        ON defined.subject = closing.id AND closing.revived_at IS NULL
),

-- A move out of a cycle that has begun into one that has not takes effect when that one begins.
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
            cycle.cycle_start::timestamp AT TIME ZONE 'UTC' AS begins_at,
            defined.cycle_id IS DISTINCT FROM lag(defined.cycle_id) OVER by_time
            AND lag(defined.from_at) OVER by_time IS NOT NULL AS is_move
        FROM defined
        LEFT JOIN cycle USING (cycle_id)
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

-- What holds of a whole stay, the unbroken time in one cycle, beside each of its pieces.
stay_piece AS (
    SELECT
        numbered.*,
        cycle.cycle_start,
        cycle.cycle_end,
        cycle.closed_at AS cycle_closed_at,
        cycle.ended_at AS cycle_ended_at,
        max(numbered.to_at) OVER by_stay AS stay_to_at,
        coalesce(
            greatest(min(numbered.from_at) OVER by_stay, numbered.defined_at) < cycle.ended_at
            AND cycle.ended_at <= max(numbered.to_at) OVER by_stay,
            false
        ) AS is_at_end
    FROM numbered
    LEFT JOIN cycle USING (cycle_id)
    WINDOW by_stay AS (PARTITION BY numbered.key_result_id, numbered.stay_number)
),

-- One row for each stay, with the closing check-ins in it: how many, and the first that says so itself, for after its
-- cycle was closed each check-in is a correction that closes it again.
stay AS (
    SELECT DISTINCT ON (key_result_id, stay_number) *
    FROM (
        SELECT
            piece.key_result_id,
            piece.stay_number,
            piece.cycle_id,
            piece.cycle_start,
            piece.cycle_end,
            bool_or(
                piece.is_at_end AND NOT piece.is_archived AND piece.from_at < piece.cycle_ended_at
                AND piece.cycle_ended_at <= piece.to_at
            ) OVER by_stay AS is_open_at_end,
            count(closing.check_in_id) OVER by_stay AS closings,
            closing.check_in_id,
            closing.is_final,
            closing.checked_in_at,
            closing.position
        FROM stay_piece AS piece
        LEFT JOIN app.check_ins AS closing
            ON piece.key_result_id = closing.key_result_id
            AND closing.checked_in_at >= piece.from_at AND closing.checked_in_at < piece.to_at
            AND NOT piece.is_archived
            AND (closing.is_final OR closing.checked_in_at > piece.cycle_closed_at)
        WINDOW by_stay AS (PARTITION BY piece.key_result_id, piece.stay_number)
    ) AS told
    ORDER BY key_result_id, stay_number, is_final DESC NULLS LAST, checked_in_at, position
),

-- Whether that one comes soon after the end of the cycle that was left: it closes that cycle if nothing else did.
followed AS (
    SELECT
        *,
        lag(cycle_id) OVER by_time AS past_cycle_id,
        coalesce(
            is_final AND lag(is_open_at_end) OVER by_time
            AND (checked_in_at AT TIME ZONE 'UTC')::date
            <= lag(cycle_end) OVER by_time + least(%(days_to_close)s::integer, (cycle_end - cycle_start + 1) / 2),
            false
        ) AS comes_soon
    FROM stay
    WINDOW by_time AS (PARTITION BY key_result_id ORDER BY stay_number)
),

-- Whether closing check-ins of its own closed a stay. A single one that comes soon belongs to the stay before unless that
-- has its own, so that the two are alike. A stay is thus as the latest one, of those up to it, that tells by itself.
told AS (
    SELECT
        *,
        first_value(closings > 0) OVER (PARTITION BY key_result_id, telling_number ORDER BY stay_number) AS is_closed
    FROM (
        SELECT
            *,
            count(*) FILTER (WHERE closings <> 1 OR NOT comes_soon) OVER (
                PARTITION BY key_result_id ORDER BY stay_number
            ) AS telling_number
        FROM followed
    ) AS counted_stay
),

late_closing AS (
    SELECT *
    FROM (
        SELECT
            key_result_id,
            past_cycle_id,
            check_in_id,
            comes_soon AND NOT lag(is_closed) OVER (PARTITION BY key_result_id ORDER BY stay_number) AS is_late
        FROM told
    ) AS first_closing
    WHERE is_late
),

counted_span AS (
    SELECT
        *,
        min(stay_number) FILTER (WHERE is_counted) OVER following AS counted_stay_number,
        (array_agg(cycle_id) FILTER (WHERE is_counted) OVER following)[1] AS counted_cycle_id
    FROM (
        SELECT
            stay_piece.*,
            stay_piece.stay_to_at = 'infinity'
            OR stay_piece.is_at_end
            OR coalesce(told.is_closed, false) AS is_counted
        FROM stay_piece
        LEFT JOIN told USING (key_result_id, stay_number)
    ) AS piece
    WINDOW following AS (PARTITION BY key_result_id ORDER BY from_at ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
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
    SELECT DISTINCT ON (counted_span.key_result_id, check_in_cycle.cycle_id)
        counted_span.key_result_id,
        check_in_cycle.cycle_id,
        check_in.value,
        check_in.checked_in_at,
        check_in.kafka_offset,
        closing.is_closing
    FROM app.check_ins AS check_in
    INNER JOIN counted_span
        ON check_in.key_result_id = counted_span.key_result_id
        AND check_in.checked_in_at >= counted_span.from_at AND check_in.checked_in_at < counted_span.to_at
    LEFT JOIN late_closing ON check_in.check_in_id = late_closing.check_in_id
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN late_closing.key_result_id IS NULL THEN counted_span.counted_cycle_id ELSE late_closing.past_cycle_id
            END AS cycle_id
    ) AS check_in_cycle
    LEFT JOIN cycle ON check_in_cycle.cycle_id = cycle.cycle_id
    CROSS JOIN LATERAL (
        SELECT
            (check_in.is_final OR coalesce(check_in.checked_in_at > cycle.closed_at, false))
            AND NOT counted_span.is_archived AS is_closing
    ) AS closing
    ORDER BY
        counted_span.key_result_id, check_in_cycle.cycle_id, closing.is_closing DESC,
        check_in.checked_in_at DESC, check_in.position DESC
),

closed AS (
    SELECT
        counted.key_result_id,
        counted.cycle_id,
        counted.opened_at,
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

-- As it was when it was closed, else when it left the ended cycle, else as it is now. A check-in closes it as it last was
-- there without being archived: it may come late.
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
    ORDER BY
        closed.key_result_id, closed.cycle_id,
        closed.is_closed_by_check_in AND counted_span.is_archived, counted_span.from_at DESC
)

INSERT INTO app.key_result_cycles (
    key_result_id, cycle_id, objective_id, team_id, title, owner_user_id, baseline, target, weight, opened_at, left_at, is_current,
    is_archived, archived_at, is_closed, is_closed_by_check_in, closed_at, last_value, last_check_in_at, last_check_in_offset, progress
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
    opened_at,
    nullif(to_at, 'infinity'),
    to_at = 'infinity',
    is_archived,
    CASE WHEN is_archived THEN archived_at END,
    is_closed,
    is_closed AND is_closed_by_check_in,
    CASE WHEN is_closed THEN closed_at END,
    value,
    checked_in_at,
    kafka_offset,
    (coalesce(value, CASE WHEN is_closed THEN baseline END) - baseline) / (target - baseline)
FROM held
