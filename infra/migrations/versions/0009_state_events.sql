-- The state tables are projections of the set of events that came, so they are the same in whatever order and however
-- often events came. A correction can move a check-in to an earlier day or open a key result again only where every
-- version is still known: so every event that they stand on is kept, once.

-- Grain: one event (by its id) of an entity: of a check-in by check_in_id, of all else by the event's subject.
CREATE TABLE app.event (
    event_type text NOT NULL,
    entity_id text NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    logged_at timestamptz NOT NULL,
    kafka_partition int NOT NULL,
    kafka_offset bigint NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (event_type, entity_id, event_id)
);
COMMENT ON TABLE app.event IS 'Definitions and check-ins, each event id once; of several copies the first in the log.';
CREATE INDEX event_occurred_at ON app.event USING brin (occurred_at);

-- Grain: one check-in, as its last version in the log has it.
CREATE TABLE app.check_ins (
    check_in_id text PRIMARY KEY,
    key_result_id text NOT NULL,
    user_id text,
    checked_in_at timestamptz NOT NULL,
    value double precision NOT NULL,
    confidence double precision,
    note text,
    is_final boolean NOT NULL,
    logged_at timestamptz NOT NULL,
    kafka_partition int NOT NULL,
    kafka_offset bigint NOT NULL
);
COMMENT ON TABLE app.check_ins IS 'Check-ins as they were last corrected; the newest of a key result is its value in app.okrs.';
COMMENT ON COLUMN app.check_ins.is_final IS 'Closes its key result; a correction that takes this back opens it again.';
CREATE INDEX check_ins_key_result ON app.check_ins (key_result_id, is_final, checked_in_at);

-- Grain: one user, as check-ins and page views name them.
CREATE TABLE app.user_activity (
    user_id text PRIMARY KEY,
    last_active_at timestamptz NOT NULL
);
COMMENT ON TABLE app.user_activity IS 'When each user was last seen; from here the figures in Redis are made again after a loss.';

-- Grain: one event that PostgreSQL refused although it keeps its contract. The lake has it, too.
CREATE TABLE app.refused_event (
    cluster_id text NOT NULL,
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    kafka_offset bigint NOT NULL,
    event_id text NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, topic, kafka_partition, kafka_offset)
);
COMMENT ON TABLE app.refused_event IS 'Events that the state tables are without, and why; one of them stops no other.';

-- What was consumed before this revision: from raw, which has it but for what waits in the lake. That, and what raw
-- has already, is read from Kafka once more, for an event counts once.
INSERT INTO app.event (
    event_type, entity_id, event_id, occurred_at, logged_at, kafka_partition, kafka_offset, data
)
SELECT DISTINCT ON (event_type, entity_id, event_id)
    event_type,
    CASE WHEN event_type = 'okr.check_in.recorded.v1' THEN data ->> 'check_in_id' ELSE subject END AS entity_id,
    event_id,
    occurred_at,
    logged_at,
    kafka_partition,
    kafka_offset,
    data
FROM raw.okr_user_events
WHERE
    event_type IN (
        'okr.organisation.defined.v1', 'okr.team.defined.v1', 'okr.user.defined.v1', 'okr.cycle.defined.v1',
        'okr.objective.defined.v1', 'okr.key_result.defined.v1', 'okr.check_in.recorded.v1'
    )
ORDER BY event_type, entity_id, event_id, kafka_partition, kafka_offset;

INSERT INTO app.check_ins (
    check_in_id, key_result_id, user_id, checked_in_at, value, confidence, note, is_final, logged_at, kafka_partition,
    kafka_offset
)
SELECT DISTINCT ON (entity_id)
    entity_id,
    data ->> 'key_result_id',
    data ->> 'user_id',
    occurred_at,
    (data ->> 'value')::float8,
    (data ->> 'confidence')::float8,
    data ->> 'note',
    coalesce((data ->> 'is_final')::boolean, false),
    logged_at,
    kafka_partition,
    kafka_offset
FROM app.event
WHERE event_type = 'okr.check_in.recorded.v1'
ORDER BY entity_id, logged_at DESC, kafka_offset DESC, event_id DESC;

INSERT INTO app.user_activity (user_id, last_active_at)
SELECT
    data ->> 'user_id',
    max(occurred_at)
FROM raw.okr_user_events
WHERE
    event_type <> 'okr.user.defined.v1'
    AND jsonb_typeof(data -> 'user_id') = 'string'
    AND length(data ->> 'user_id') BETWEEN 1 AND 128
GROUP BY data ->> 'user_id';

DELETE FROM app.newest_event WHERE event_type LIKE 'okr.check_in.recorded.v1%';
INSERT INTO app.newest_event (
    event_type, subject, occurred_at, kafka_partition, kafka_offset, data, first_occurred_at
)
SELECT DISTINCT ON (event_type, entity_id)
    event_type,
    entity_id,
    occurred_at,
    kafka_partition,
    kafka_offset,
    data,
    min(occurred_at) OVER (PARTITION BY event_type, entity_id)
FROM app.event
WHERE event_type <> 'okr.check_in.recorded.v1'
ORDER BY event_type, entity_id, occurred_at DESC, kafka_offset DESC, event_id DESC
ON CONFLICT DO NOTHING;
DELETE FROM app.consumer_offset WHERE consumer_group = 'okr-state';

-- Key results as project_okrs.sql has them from here on. (One without a check-in had the progress 9.99.)
WITH measured AS (
    SELECT
        okrs.okr_id,
        checked.*,
        (checked.value - okrs.baseline) / (okrs.target - okrs.baseline) AS ratio
    FROM app.okrs AS okrs
    LEFT JOIN (
        SELECT DISTINCT ON (key_result_id) *
        FROM app.check_ins
        ORDER BY key_result_id, is_final DESC, checked_in_at DESC, logged_at DESC, check_in_id DESC
    ) AS checked USING (key_result_id)
)

UPDATE app.okrs
SET
    progress = CASE WHEN measured.ratio IS NOT NULL THEN greatest(-9.99, least(9.99, measured.ratio))::numeric(3, 2) END,
    status = CASE
        WHEN measured.value IS NULL THEN 'not_started'
        WHEN NOT measured.is_final THEN 'in_progress'
        WHEN measured.ratio >= 0.7 - 1e-9 THEN 'achieved'
        ELSE 'missed'
    END,
    last_value = measured.value,
    last_check_in_at = measured.checked_in_at,
    last_check_in_offset = measured.kafka_offset,
    is_closed = coalesce(measured.is_final, false),
    updated_at = coalesce(greatest(okrs.defined_at, measured.checked_in_at), okrs.updated_at)
FROM measured
WHERE okrs.okr_id = measured.okr_id;

COMMENT ON TABLE app.newest_event IS 'The newest definition of each organisation, team, user, cycle, objective and key result: by occurred_at, then by its place in the log.';
COMMENT ON COLUMN app.newest_event.event_type IS 'The event''s type.';

-- The rest of the domain, each at its newest definition.
CREATE VIEW app.organisations AS
SELECT
    subject AS organisation_id,
    data ->> 'name' AS name,
    first_occurred_at AS created_at,
    occurred_at AS updated_at
FROM app.newest_event
WHERE event_type = 'okr.organisation.defined.v1';
COMMENT ON VIEW app.organisations IS 'Organisations, the newest state by event time.';

CREATE VIEW app.teams AS
SELECT
    subject AS team_id,
    data ->> 'organisation_id' AS organisation_id,
    data ->> 'name' AS name,
    first_occurred_at AS created_at,
    occurred_at AS updated_at
FROM app.newest_event
WHERE event_type = 'okr.team.defined.v1';
COMMENT ON VIEW app.teams IS 'Teams, the newest state by event time.';

CREATE VIEW app.cycles AS
SELECT
    subject AS cycle_id,
    data ->> 'organisation_id' AS organisation_id,
    data ->> 'name' AS name,
    (data ->> 'starts_on')::date AS starts_on,
    (data ->> 'ends_on')::date AS ends_on,
    first_occurred_at AS created_at,
    occurred_at AS updated_at
FROM app.newest_event
WHERE event_type = 'okr.cycle.defined.v1';
COMMENT ON VIEW app.cycles IS 'Cycles, the newest state by event time; ends_on is the last day, inclusive.';

CREATE VIEW app.objectives AS
SELECT
    subject AS objective_id,
    data ->> 'team_id' AS team_id,
    data ->> 'cycle_id' AS cycle_id,
    data ->> 'parent_objective_id' AS parent_objective_id,
    data ->> 'owner_user_id' AS owner_user_id,
    data ->> 'title' AS title,
    first_occurred_at AS created_at,
    occurred_at AS updated_at
FROM app.newest_event
WHERE event_type = 'okr.objective.defined.v1';
COMMENT ON VIEW app.objectives IS 'Objectives, the newest state by event time.';

CREATE VIEW app.key_results AS
SELECT
    subject AS key_result_id,
    data ->> 'objective_id' AS objective_id,
    data ->> 'owner_user_id' AS owner_user_id,
    data ->> 'title' AS title,
    data ->> 'unit' AS unit,
    (data ->> 'baseline')::float8 AS baseline,
    (data ->> 'target')::float8 AS target,
    data ->> 'direction' AS direction,
    coalesce((data ->> 'weight')::float8, 1.0) AS weight,
    first_occurred_at AS created_at,
    occurred_at AS updated_at
FROM app.newest_event
WHERE event_type = 'okr.key_result.defined.v1';
COMMENT ON VIEW app.key_results IS 'Key results, the newest state by event time; app.okrs adds their progress.';
