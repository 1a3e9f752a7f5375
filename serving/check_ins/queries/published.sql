-- Grain: at most one row, a key result in the cycle in which a check-in counts (the one of `check_in_id` where it is
-- published, else one of now), as it was published. deciding_* is the check-in that says how it ended; other_* the one
-- that would if this check-in did not count: the latest closing one, else the latest (as intermediate.int_key_result_cycle).
WITH known AS (
    SELECT
        check_in_id,
        coalesce(counted_cycle_id, cycle_id) AS cycle_id,  -- null in a publication of a release before it, gone back to
        checked_in_at,
        is_closing,
        logged_at,
        kafka_partition,
        kafka_offset
    FROM marts.fct_check_in
    WHERE key_result_id = %(key_result_id)s
),

placed AS (
    SELECT *
    FROM marts.mart_okr_scorecard
    WHERE key_result_id = %(key_result_id)s
    ORDER BY
        cycle_id IS NOT DISTINCT FROM (SELECT cycle_id FROM known WHERE check_in_id = %(check_in_id)s) DESC,
        is_current_cycle DESC
    LIMIT 1
)

SELECT
    placed.key_result_id,
    placed.title,
    placed.unit,
    placed.baseline,
    placed.target,
    placed.status,
    placed.cycle_start,
    placed.cycle_end,
    placed.is_current_cycle,
    placed.final_at,
    placed.final_value,
    cycle.closed_at AS cycle_closed_at,
    definition.archived_at,
    deciding.check_in_id AS deciding_id,
    other.check_in_id AS other_id,
    other.checked_in_at AS other_at,
    coalesce(other.is_closing, false) AS is_other_closing
FROM placed
LEFT JOIN marts.dim_cycle AS cycle ON placed.cycle_id = cycle.cycle_id AND cycle.is_current
LEFT JOIN marts.dim_key_result AS definition
    ON placed.key_result_id = definition.key_result_id AND definition.is_current
LEFT JOIN LATERAL (
    SELECT *
    FROM known
    WHERE known.cycle_id IS NOT DISTINCT FROM placed.cycle_id
    ORDER BY is_closing DESC, checked_in_at DESC, logged_at DESC, kafka_partition DESC, kafka_offset DESC
    LIMIT 1
) AS deciding ON true
LEFT JOIN LATERAL (
    SELECT *
    FROM known
    WHERE known.cycle_id IS NOT DISTINCT FROM placed.cycle_id AND known.check_in_id <> %(check_in_id)s
    ORDER BY is_closing DESC, checked_in_at DESC, logged_at DESC, kafka_partition DESC, kafka_offset DESC
    LIMIT 1
) AS other ON true
