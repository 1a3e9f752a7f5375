-- Grain: at most one row, a key result in the cycle in which a check-in counts, as it was published: the cycle that it
-- closes (queries/cycle_to_close.sql), else the one of `check_in_id` where it is published, else the one where the key result is at
-- the moment `at` (one planned on is still in the old one). deciding_* is the check-in that says how it ended; other_* the
-- one that would if this check-in did not count: the latest closing one, else the latest
-- (as intermediate.int_key_result_cycle). archived_at: since when it is archived, itself or by its objective or team.
WITH RECURSIVE known AS (
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
    SELECT held.team_id, held.archived_at
    FROM placed
    LEFT JOIN definition ON true
    INNER JOIN marts.dim_objective AS held
        ON held.is_current
        AND held.objective_id
        = CASE WHEN placed.is_current_cycle THEN definition.objective_id ELSE placed.objective_id END
),

-- A dissolved team hands on to its successor; where nobody is left, what it held is archived (ADR 19).
holder AS (
    SELECT team.team_id, team.archived_at, team.successor_team_id, ARRAY[team.team_id] AS path
    FROM objective
    INNER JOIN marts.dim_team AS team ON objective.team_id = team.team_id AND team.is_current
    UNION ALL
    SELECT team.team_id, team.archived_at, team.successor_team_id, holder.path || team.team_id
    FROM holder
    INNER JOIN marts.dim_team AS team ON holder.successor_team_id = team.team_id AND team.is_current
    WHERE holder.archived_at IS NOT NULL AND team.team_id <> ALL(holder.path)
),

dissolved AS (
    SELECT max(archived_at) AS archived_at
    FROM holder
    HAVING bool_and(
        archived_at IS NOT NULL
        AND (successor_team_id IS NULL OR successor_team_id IN (SELECT team_id FROM holder))
    )
)

SELECT
    placed.key_result_id,
    placed.cycle_id,
    placed.title,
    placed.unit,
    placed.baseline,
    placed.target,
    placed.status,
    placed.cycle_start,
    placed.cycle_end,
    placed.final_at,
    placed.final_value,
    cycle.closed_at AS cycle_closed_at,
    least(definition.archived_at, objective.archived_at, dissolved.archived_at) AS archived_at,
    deciding.check_in_id AS deciding_id,
    other.check_in_id AS other_id,
    other.checked_in_at AS other_at,
    coalesce(other.is_closing, false) AS is_other_closing
FROM placed
LEFT JOIN marts.dim_cycle AS cycle ON placed.cycle_id = cycle.cycle_id AND cycle.is_current
LEFT JOIN definition ON true
LEFT JOIN objective ON true
LEFT JOIN dissolved ON true
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
