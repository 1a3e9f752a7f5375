-- Returns at most one row: a published key result in the cycle in which a check-in counts.
-- If the check-in closes a cycle (cycle_to_close.sql), it counts in that cycle. Otherwise, it counts in the published
-- cycle of `check_in_id` or, if there is none, in the key result's cycle at the time `at`. A key result belongs to its
-- old cycle until it moves to a later one.
-- deciding_*: the check-in that determines the outcome, which is the latest closing check-in or, if there is none, the
-- latest check-in (as in intermediate.int_key_result_cycle). other_*: the same, ignoring the check-in `check_in_id`.
-- archived_at: the time at which the key result, its objective or its team was archived.
WITH RECURSIVE known AS (
    SELECT
        check_in_id,
        coalesce(counted_cycle_id, cycle_id) AS cycle_id,  -- null in publications of older releases
        checked_in_at,
        is_closing,
        logged_at,
        kafka_partition,
        kafka_offset
    FROM marts.fct_check_in
    WHERE key_result_id = %(key_result_id)s
),

in_cycle AS (
    SELECT *
    FROM marts.mart_okr_scorecard AS scorecard
    WHERE key_result_id = %(key_result_id)s
    ORDER BY
        coalesce(cycle_id = %(closes_cycle_id)s::text, false) DESC,
        EXISTS (
            SELECT FROM known
            WHERE known.check_in_id = %(check_in_id)s AND known.cycle_id IS NOT DISTINCT FROM scorecard.cycle_id
        ) DESC,
        coalesce(ended_at, 'infinity') > %(at)s::timestamptz DESC,
        opened_at
    LIMIT 1
),

definition AS (
    SELECT objective_id, archived_at
    FROM marts.dim_key_result
    WHERE key_result_id = %(key_result_id)s AND is_current
),

objective AS (
    SELECT objective_version.team_id, objective_version.archived_at
    FROM in_cycle
    LEFT JOIN definition ON true
    INNER JOIN marts.dim_objective AS objective_version
        ON objective_version.is_current
        AND objective_version.objective_id
        = CASE WHEN in_cycle.is_current_cycle THEN definition.objective_id ELSE in_cycle.objective_id END
),

-- A dissolved team's objectives go to its successor; without an active successor, they are archived (ADR 19).
responsible_team AS (
    SELECT team.team_id, team.archived_at, team.successor_team_id, ARRAY[team.team_id] AS path
    FROM objective
    INNER JOIN marts.dim_team AS team ON objective.team_id = team.team_id AND team.is_current
    UNION ALL
    SELECT team.team_id, team.archived_at, team.successor_team_id, responsible_team.path || team.team_id
    FROM responsible_team
    INNER JOIN marts.dim_team AS team ON responsible_team.successor_team_id = team.team_id AND team.is_current
    WHERE responsible_team.archived_at IS NOT NULL AND team.team_id <> ALL(responsible_team.path)
),

dissolved AS (
    SELECT max(archived_at) AS archived_at
    FROM responsible_team
    HAVING bool_and(
        archived_at IS NOT NULL
        AND (successor_team_id IS NULL OR successor_team_id IN (SELECT team_id FROM responsible_team))
    )
)

SELECT
    in_cycle.key_result_id,
    in_cycle.cycle_id,
    in_cycle.title,
    in_cycle.unit,
    in_cycle.baseline,
    in_cycle.target,
    in_cycle.status,
    in_cycle.cycle_start,
    in_cycle.cycle_end,
    in_cycle.final_at,
    in_cycle.final_value,
    cycle.closed_at AS cycle_closed_at,
    least(definition.archived_at, objective.archived_at, dissolved.archived_at) AS archived_at,
    deciding.check_in_id AS deciding_id,
    other.check_in_id AS other_id,
    other.checked_in_at AS other_at,
    coalesce(other.is_closing, false) AS is_other_closing
FROM in_cycle
LEFT JOIN marts.dim_cycle AS cycle ON in_cycle.cycle_id = cycle.cycle_id AND cycle.is_current
LEFT JOIN definition ON true
LEFT JOIN objective ON true
LEFT JOIN dissolved ON true
LEFT JOIN LATERAL (
    SELECT *
    FROM known
    WHERE known.cycle_id IS NOT DISTINCT FROM in_cycle.cycle_id
    ORDER BY is_closing DESC, checked_in_at DESC, logged_at DESC, kafka_partition DESC, kafka_offset DESC
    LIMIT 1
) AS deciding ON true
LEFT JOIN LATERAL (
    SELECT *
    FROM known
    WHERE known.cycle_id IS NOT DISTINCT FROM in_cycle.cycle_id AND known.check_in_id <> %(check_in_id)s
    ORDER BY is_closing DESC, checked_in_at DESC, logged_at DESC, kafka_partition DESC, kafka_offset DESC
    LIMIT 1
) AS other ON true
