-- progress = (value - baseline) / (target - baseline); achieved from a score of 0.7 on, as the marts have it.
-- The newest closing check-in counts, else the newest, as in the marts: what comes after the closing one changes nothing.
WITH current_state AS (
    SELECT
        named.okr_id,
        defined.subject AS key_result_id,
        defined.data ->> 'title' AS key_result,
        defined.data ->> 'objective_id' AS objective_id,
        defined.data ->> 'owner_user_id' AS owner_user_id,
        (defined.data ->> 'baseline')::float8 AS baseline,
        (defined.data ->> 'target')::float8 AS target,
        checked.value AS last_value,
        coalesce(checked.is_final, false) AS is_closed,
        defined.occurred_at AS defined_at,
        defined.kafka_offset AS defined_offset,
        defined.first_occurred_at,
        checked.checked_in_at AS last_check_in_at,
        checked.kafka_offset AS last_check_in_offset,
        row_number() OVER (
            PARTITION BY named.okr_id
            ORDER BY defined.occurred_at DESC, defined.kafka_partition DESC, defined.kafka_offset DESC
        ) AS id_claim
    FROM unnest(%(subjects)s::text [], %(ids)s::uuid []) AS named (subject, okr_id)
    INNER JOIN app.newest_event AS defined
        ON named.subject = defined.subject AND defined.event_type = 'okr.key_result.defined.v1'
    LEFT JOIN LATERAL (
        SELECT
            kept.value,
            kept.is_final,
            kept.checked_in_at,
            kept.kafka_offset
        FROM app.check_ins AS kept
        WHERE kept.key_result_id = named.subject
        ORDER BY kept.is_final DESC, kept.checked_in_at DESC, kept.logged_at DESC, kept.check_in_id DESC
        LIMIT 1
    ) AS checked ON true
),

measured AS (
    SELECT
        *,
        (last_value - baseline) / (target - baseline) AS progress
    FROM current_state
    WHERE id_claim = 1
)

INSERT INTO app.okrs (
    okr_id, user_id, objective, key_result, progress, status, created_at, updated_at, key_result_id, objective_id,
    team_id, cycle_id, baseline, target, last_value, last_check_in_at, last_check_in_offset, is_closed, defined_at,
    defined_offset
)
SELECT
    measured.okr_id,
    owner.user_id,
    objective.data ->> 'title',
    measured.key_result,
    -- least and greatest pass over a null, which progress is before the first check-in
    CASE WHEN measured.progress IS NOT NULL THEN greatest(-9.99, least(9.99, measured.progress))::numeric(3, 2) END,
    CASE
        WHEN measured.last_value IS NULL THEN 'not_started'
        WHEN NOT measured.is_closed THEN 'in_progress'
        WHEN measured.progress >= 0.7 - 1e-9 THEN 'achieved'
        ELSE 'missed'
    END,
    measured.first_occurred_at,
    greatest(measured.defined_at, measured.last_check_in_at),
    measured.key_result_id,
    measured.objective_id,
    objective.data ->> 'team_id',
    objective.data ->> 'cycle_id',
    measured.baseline,
    measured.target,
    measured.last_value,
    measured.last_check_in_at,
    measured.last_check_in_offset,
    measured.is_closed,
    measured.defined_at,
    measured.defined_offset
FROM measured
LEFT JOIN app.newest_event AS objective
    ON measured.objective_id = objective.subject AND objective.event_type = 'okr.objective.defined.v1'
LEFT JOIN app.users AS owner
    ON measured.owner_user_id = owner.source_user_id
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
    defined_at = excluded.defined_at,
    defined_offset = excluded.defined_offset
