-- Upsert one row per key result with its state in its current cycle (from app.key_result_cycles).
-- Progress is (value - baseline) / (target - baseline). As in the marts, a closed key result is achieved if its
-- progress is at least achieved_score (lakehouse/achieved_score.py).
WITH measured AS (
    SELECT
        named.okr_id,
        counted.*,
        defined.occurred_at AS defined_at,
        defined.kafka_offset AS defined_offset,
        defined.first_occurred_at,
        row_number() OVER (
            PARTITION BY named.okr_id ORDER BY defined.occurred_at DESC, defined.position DESC
        ) AS id_claim
    FROM unnest(%(subjects)s::text [], %(ids)s::uuid []) AS named (subject, okr_id)
    INNER JOIN app.newest_event AS defined
        ON named.subject = defined.subject AND defined.event_type = 'okr.key_result.defined.v1'
    INNER JOIN app.key_result_cycles AS counted
        ON named.subject = counted.key_result_id AND counted.is_current
)

INSERT INTO app.okrs (
    okr_id, user_id, objective, key_result, progress, status, created_at, updated_at, key_result_id, objective_id,
    team_id, cycle_id, baseline, target, last_value, last_check_in_at, last_check_in_offset, is_closed, archived_at,
    defined_at, defined_offset
)
SELECT
    measured.okr_id,
    owner.user_id,
    objective.data ->> 'title',
    measured.title,
    -- Progress is null before the first check-in. The case is needed because greatest and least ignore nulls.
    CASE WHEN measured.progress IS NOT NULL THEN greatest(-9.99, least(9.99, measured.progress))::numeric(3, 2) END,
    CASE
        WHEN measured.is_archived THEN 'archived'
        WHEN measured.is_closed AND measured.progress >= %(achieved_score)s - %(tolerance)s THEN 'achieved'
        WHEN measured.is_closed THEN 'missed'
        WHEN measured.last_value IS NULL THEN 'not_started'
        ELSE 'in_progress'
    END,
    measured.first_occurred_at,
    greatest(measured.defined_at, measured.last_check_in_at, measured.archived_at, measured.closed_at),
    measured.key_result_id,
    measured.objective_id,
    measured.team_id,
    measured.cycle_id,
    measured.baseline,
    measured.target,
    measured.last_value,
    measured.last_check_in_at,
    measured.last_check_in_offset,
    measured.is_closed,
    measured.archived_at,
    measured.defined_at,
    measured.defined_offset
FROM measured
LEFT JOIN app.newest_event AS objective
    ON measured.objective_id = objective.subject AND objective.event_type = 'okr.objective.defined.v1'
LEFT JOIN app.users AS owner
    ON measured.owner_user_id = owner.source_user_id
WHERE measured.id_claim = 1  -- ids that are spellings of the same UUID are one key result
ON CONFLICT (okr_id) DO UPDATE
SET
    user_id = excluded.user_id,
    objective = excluded.objective,
    key_result = excluded.key_result,
    progress = excluded.progress,
    status = excluded.status,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    key_result_id = excluded.key_result_id,
    objective_id = excluded.objective_id,
    team_id = excluded.team_id,
    cycle_id = excluded.cycle_id,
    baseline = excluded.baseline,
    target = excluded.target,
    last_value = excluded.last_value,
    last_check_in_at = excluded.last_check_in_at,
    last_check_in_offset = excluded.last_check_in_offset,
    is_closed = excluded.is_closed,
    archived_at = excluded.archived_at,
    defined_at = excluded.defined_at,
    defined_offset = excluded.defined_offset
