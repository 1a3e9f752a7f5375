-- The one total order of a topic's log: logged time, then partition, then offset (dbt has it as the macro log_order).
-- Whatever asks which of two events came later compares positions; an event's id says nothing about it.
CREATE TYPE app.log_position AS (logged_at timestamptz, kafka_partition int, kafka_offset bigint);

ALTER TABLE app.event ADD COLUMN position app.log_position
GENERATED ALWAYS AS (row(logged_at, kafka_partition, kafka_offset)::app.log_position) STORED;
ALTER TABLE app.check_ins ADD COLUMN position app.log_position
GENERATED ALWAYS AS (row(logged_at, kafka_partition, kafka_offset)::app.log_position) STORED;
COMMENT ON COLUMN app.event.position IS 'Place in the order of the log.';
COMMENT ON COLUMN app.check_ins.position IS 'Place of the newest version in the order of the log.';

ALTER TABLE app.newest_event ADD COLUMN logged_at timestamptz;
INSERT INTO app.newest_event AS kept (
    event_type, subject, occurred_at, logged_at, kafka_partition, kafka_offset, data, first_occurred_at
)
SELECT DISTINCT ON (event_type, entity_id)
    event_type,
    entity_id,
    occurred_at,
    logged_at,
    kafka_partition,
    kafka_offset,
    data,
    min(occurred_at) OVER (PARTITION BY event_type, entity_id)
FROM app.event
WHERE event_type LIKE 'okr.%.defined.v1'
ORDER BY event_type, entity_id, occurred_at DESC, position DESC
ON CONFLICT (event_type, subject) DO UPDATE
SET
    occurred_at = excluded.occurred_at,
    logged_at = excluded.logged_at,
    kafka_partition = excluded.kafka_partition,
    kafka_offset = excluded.kafka_offset,
    data = excluded.data;
UPDATE app.newest_event SET logged_at = occurred_at WHERE logged_at IS NULL;
ALTER TABLE app.newest_event ALTER COLUMN logged_at SET NOT NULL;
ALTER TABLE app.newest_event ADD COLUMN position app.log_position
GENERATED ALWAYS AS (row(logged_at, kafka_partition, kafka_offset)::app.log_position) STORED;
COMMENT ON TABLE app.newest_event IS 'The newest definition of each organisation, team, user, cycle, objective and key result: by occurred_at, then by its position in the log.';

-- Which key results an objective, a team or a cycle ever had.
CREATE INDEX event_key_result_objective ON app.event ((data ->> 'objective_id'))
WHERE event_type = 'okr.key_result.defined.v1';
CREATE INDEX event_objective_team ON app.event ((data ->> 'team_id')) WHERE event_type = 'okr.objective.defined.v1';
CREATE INDEX event_objective_cycle ON app.event ((data ->> 'cycle_id')) WHERE event_type = 'okr.objective.defined.v1';

-- When entities of a noun were ended (archived, closed, deactivated), and revived by a later definition: what has ended
-- is not ended again. `ids`: of these alone, null for all.
CREATE FUNCTION app.endings(ended_type text, ids text []) RETURNS TABLE (
    id text, ended_at timestamptz, revived_at timestamptz, data jsonb
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT changed.entity_id, changed.occurred_at, changed.revived_at, changed.data
    FROM (
        SELECT
            compared.*,
            lead(compared.occurred_at) OVER (
                PARTITION BY compared.entity_id ORDER BY compared.occurred_at, compared.position
            ) AS revived_at
        FROM (
            SELECT
                event.entity_id,
                event.event_type = ended_type AS is_ending,
                event.occurred_at,
                event.position,
                event.data,
                coalesce(lag(event.event_type = ended_type) OVER (
                    PARTITION BY event.entity_id ORDER BY event.occurred_at, event.position
                ), false) AS was_ended
            FROM (
                SELECT DISTINCT ending.entity_id
                FROM app.event AS ending
                WHERE ending.event_type = ended_type AND (ids IS NULL OR ending.entity_id = ANY(ids))
            ) AS ended
            INNER JOIN app.event AS event
                ON ended.entity_id = event.entity_id
                AND event.event_type IN (ended_type, 'okr.' || split_part(ended_type, '.', 2) || '.defined.v1')
        ) AS compared
        WHERE compared.is_ending <> compared.was_ended
    ) AS changed
    WHERE changed.is_ending
$$;
COMMENT ON FUNCTION app.endings IS 'When key results, objectives and teams were archived, cycles closed, users deactivated; revived_at is null while they are.';

-- Grain: a team that was ever dissolved and a span of time, without gap or overlap: who holds its objectives then. The
-- team itself, its successor (or the successor's), or nobody. As intermediate.int_team_holder has it.
CREATE VIEW app.team_holders AS
WITH RECURSIVE archival AS (
    SELECT
        id AS team_id,
        data ->> 'successor_team_id' AS successor_id,
        tstzrange(ended_at, coalesce(revived_at, 'infinity')) AS span
    FROM app.endings('okr.team.archived.v1', NULL)
    WHERE ended_at IS DISTINCT FROM revived_at
),

archived AS (
    SELECT team_id, range_agg(span) AS spans FROM archival GROUP BY team_id
),

handed_on AS (
    SELECT team_id, team_id AS holder_id, tstzrange('-infinity', 'infinity') AS span, ARRAY[team_id] AS path
    FROM archived
    UNION ALL
    SELECT
        handed_on.team_id, archival.successor_id, handed_on.span * archival.span,
        handed_on.path || archival.successor_id
    FROM handed_on
    INNER JOIN archival ON handed_on.holder_id = archival.team_id AND handed_on.span && archival.span
    WHERE archival.successor_id IS NOT NULL AND archival.successor_id <> ALL(handed_on.path)
),

held AS (
    SELECT handed_on.team_id, handed_on.holder_id, piece
    FROM handed_on
    LEFT JOIN archived ON handed_on.holder_id = archived.team_id
    CROSS JOIN LATERAL unnest(
        tstzmultirange(handed_on.span) - coalesce(archived.spans, '{}'::tstzmultirange)
    ) AS piece
)

SELECT team_id, holder_id, piece AS span FROM held
UNION ALL
SELECT gap.team_id, NULL::text, piece
FROM (
    SELECT team_id, tstzmultirange(tstzrange('-infinity', 'infinity')) - range_agg(piece) AS spans
    FROM held
    GROUP BY team_id
) AS gap
CROSS JOIN LATERAL unnest(gap.spans) AS piece;
COMMENT ON VIEW app.team_holders IS 'Who holds what belongs to a team that was ever dissolved, by span of time.';

-- Grain: one key result and cycle that it counts in, as intermediate.int_key_result_cycle has it.
CREATE TABLE app.key_result_cycles (
    key_result_id text NOT NULL,
    cycle_id text,
    objective_id text,
    team_id text,
    title text,
    owner_user_id text,
    baseline double precision NOT NULL,
    target double precision NOT NULL,
    weight double precision NOT NULL,
    is_current boolean NOT NULL,
    is_archived boolean NOT NULL,
    archived_at timestamptz,
    is_closed boolean NOT NULL,
    last_value double precision,
    last_check_in_at timestamptz,
    last_check_in_offset bigint,
    progress double precision,
    closed_at timestamptz,
    UNIQUE NULLS NOT DISTINCT (key_result_id, cycle_id)
);
COMMENT ON TABLE app.key_result_cycles IS 'Key results in each cycle that they count in: where they are now, were closed, or still were when it ended.';
COMMENT ON COLUMN app.key_result_cycles.is_archived IS 'Archived before it was closed: it counts nowhere.';
COMMENT ON COLUMN app.key_result_cycles.is_closed IS 'By a closing check-in, or with its cycle.';
COMMENT ON COLUMN app.key_result_cycles.progress IS '(value - baseline) / (target - baseline) by the definition of that cycle, without bounds; null before the first check-in.';

ALTER TABLE app.users ADD COLUMN deactivated_at timestamptz;
COMMENT ON COLUMN app.users.deactivated_at IS 'When the user was deactivated; null while active, and again after a later definition.';
ALTER TABLE app.okrs ADD COLUMN archived_at timestamptz;
COMMENT ON COLUMN app.okrs.archived_at IS 'When it, its objective or its team was archived, status archived; null while it is worked on, and where it was closed before.';
COMMENT ON COLUMN app.okrs.status IS 'not_started, in_progress, achieved, missed or archived, in the cycle where the key result is now.';

-- What archives, closes and deactivates was not followed before: it is read again, for an event counts once.
DELETE FROM app.consumer_offset WHERE consumer_group = 'okr-state';
