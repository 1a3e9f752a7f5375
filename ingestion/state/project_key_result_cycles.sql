-- Insert one row per key result and cycle in which it counts, by the same rules as intermediate.int_key_result_cycle. A
-- key result counts in its current cycle, in each cycle in which it was closed, and in each cycle to which it still
-- belonged when that cycle ended. A check-in is attributed to the key result's cycle at the time of the check-in, with
-- two exceptions. If the key result does not count in that cycle, the check-in is attributed to the next cycle in which
-- the key result counts. The first final check-in soon after the end of the previous cycle may close the key result in
-- that previous cycle (ADR 19).
WITH placement AS (
    SELECT * FROM app.key_result_placements(%(subjects)s::text [])
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
    FROM (SELECT DISTINCT cycle_id FROM placement) AS named
    INNER JOIN app.newest_event AS defined
        ON named.cycle_id = defined.subject AND defined.event_type = 'okr.cycle.defined.v1'
    LEFT JOIN app.endings(
        'okr.cycle.closed.v1', (SELECT array_agg(DISTINCT cycle_id) FROM placement)
    ) AS closing
        ON defined.subject = closing.id AND closing.revived_at IS NULL
),

-- One row per placement (called a span below). A stay is the uninterrupted time of a key result in one cycle. Each row
-- has the end of its stay, and whether the key result was in that stay when the cycle ended or was closed. Window
-- functions are used because the planner would estimate a single row for a join with a grouped subquery.
span AS (
    SELECT
        placement.*,
        cycle.cycle_start,
        cycle.cycle_end,
        cycle.closed_at AS cycle_closed_at,
        cycle.ended_at AS cycle_ended_at,
        max(placement.to_at) OVER by_stay AS stay_to_at,
        coalesce(
            greatest(min(placement.from_at) OVER by_stay, placement.defined_at) < cycle.ended_at
            AND cycle.ended_at <= max(placement.to_at) OVER by_stay,
            false
        ) AS is_at_end
    FROM placement
    LEFT JOIN cycle USING (cycle_id)
    WINDOW by_stay AS (PARTITION BY placement.key_result_id, placement.stay_number)
),

-- One row per stay, with the number of its closing check-ins and the first one that is marked final (or, if none is,
-- the first one). A check-in is closing if it is marked final or was made after the cycle was closed, because it is
-- then a correction that closes the key result again. A check-in made while the key result was archived is not closing.
stay AS (
    SELECT DISTINCT ON (key_result_id, stay_number) *
    FROM (
        SELECT
            span.key_result_id,
            span.stay_number,
            span.cycle_id,
            span.cycle_start,
            span.cycle_end,
            bool_or(
                span.is_at_end AND NOT span.is_archived AND span.from_at < span.cycle_ended_at
                AND span.cycle_ended_at <= span.to_at
            ) OVER by_stay AS is_open_at_end,
            count(closing.check_in_id) OVER by_stay AS closings,
            closing.check_in_id,
            closing.is_final,
            closing.checked_in_at,
            closing.position
        FROM span
        LEFT JOIN app.check_ins AS closing
            ON span.key_result_id = closing.key_result_id
            AND closing.checked_in_at >= span.from_at AND closing.checked_in_at < span.to_at
            AND NOT span.is_archived
            AND (closing.is_final OR closing.checked_in_at > span.cycle_closed_at)
        WINDOW by_stay AS (PARTITION BY span.key_result_id, span.stay_number)
    ) AS joined
    ORDER BY key_result_id, stay_number, is_final DESC NULLS LAST, checked_in_at, position
),

-- comes_soon: whether the stay's first final check-in was made soon enough after the end of the previous stay's cycle
-- to close the key result in that cycle (ADR 19). The key result must have been in that cycle, and not archived, when
-- the cycle ended. The check-in closes the previous stay only if none of that stay's own check-ins closed it.
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

-- is_closed: whether one of the stay's own check-ins closes it. If its only closing check-in comes soon, that check-in
-- closes the previous stay if that stay is still open, and otherwise this stay. In the first case, is_closed is false
-- for both stays (neither was closed by its own check-ins); in the second case, it is true for both. Such a stay
-- therefore has the same run_number as the previous one, and the first stay of a run determines is_closed for the whole
-- run.
stay_result AS (
    SELECT
        *,
        first_value(closings > 0) OVER (PARTITION BY key_result_id, run_number ORDER BY stay_number) AS is_closed
    FROM (
        SELECT
            *,
            count(*) FILTER (WHERE closings <> 1 OR NOT comes_soon) OVER (
                PARTITION BY key_result_id ORDER BY stay_number
            ) AS run_number
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
        FROM stay_result
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
            span.*,
            span.stay_to_at = 'infinity'
            OR span.is_at_end
            OR coalesce(stay_result.is_closed, false) AS is_counted
        FROM span
        LEFT JOIN stay_result USING (key_result_id, stay_number)
    ) AS marked
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

-- One row per key result and cycle: the latest closing check-in, or the latest check-in if none of them is closing. A
-- check-in is closing if it is marked final or was made after that cycle was closed, unless the key result was
-- archived at that time.
deciding_check_in AS (
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
                WHEN late_closing.key_result_id IS NULL THEN counted_span.counted_cycle_id
                ELSE late_closing.past_cycle_id
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
        deciding_check_in.value,
        deciding_check_in.checked_in_at,
        deciding_check_in.kafka_offset,
        coalesce(deciding_check_in.is_closing, false) AS is_closed_by_check_in,
        CASE
            WHEN deciding_check_in.is_closing THEN deciding_check_in.checked_in_at
            WHEN counted.opened_at <= cycle.closed_at THEN cycle.closed_at
        END AS closed_at
    FROM counted
    LEFT JOIN cycle ON counted.cycle_id = cycle.cycle_id
    LEFT JOIN deciding_check_in
        ON counted.key_result_id = deciding_check_in.key_result_id
        AND counted.cycle_id IS NOT DISTINCT FROM deciding_check_in.cycle_id
),

-- The state of the key result in the cycle at one of these times:
-- * when a check-in closed it, if one did;
-- * otherwise, if it has left the cycle, when the cycle ended or when it left, whichever was earlier;
-- * otherwise, if the cycle is closed, when it was closed;
-- * otherwise, now.
-- A closing check-in may be made after the key result has left the cycle. It closes the key result as it was in the
-- last span of that cycle during which it was not archived.
state_in_cycle AS (
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
    key_result_id, cycle_id, objective_id, team_id, title, owner_user_id, baseline, target, weight, opened_at, left_at,
    is_current, is_archived, archived_at, is_closed, is_closed_by_check_in, closed_at, last_value, last_check_in_at,
    last_check_in_offset, progress
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
FROM state_in_cycle
