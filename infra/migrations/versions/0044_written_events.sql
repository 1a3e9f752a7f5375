CREATE SCHEMA IF NOT EXISTS serving;
COMMENT ON SCHEMA serving IS 'What the API stores about its own work, shared by all of its processes.';
GRANT USAGE ON SCHEMA serving TO okr_serving;

CREATE TABLE serving.write_request (
    request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username text NOT NULL,
    idempotency_key text,
    operation text NOT NULL,
    body jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    persisted_at timestamptz,
    is_acknowledged boolean NOT NULL DEFAULT false,
    rejected_because text
);
COMMENT ON TABLE serving.write_request IS 'Grain: one request to write events. It is stored before its events are written to disk, so that a repeated request sends the same events, which count once.';
COMMENT ON COLUMN serving.write_request.request_id IS 'Number of the request, in the order of storing.';
COMMENT ON COLUMN serving.write_request.username IS 'The account that sent the request.';
COMMENT ON COLUMN serving.write_request.idempotency_key IS 'The header Idempotency-Key; null if none was sent. Each account has its own keys.';
COMMENT ON COLUMN serving.write_request.operation IS 'Method and path of the request, e.g. PUT /v1/teams/team-1.';
COMMENT ON COLUMN serving.write_request.body IS 'The content as sent, with which a repeated request is compared.';
COMMENT ON COLUMN serving.write_request.received_at IS 'Time of the request, UTC.';
COMMENT ON COLUMN serving.write_request.persisted_at IS 'Time at which its events were on disk, UTC; null if they are not known to have been.';
COMMENT ON COLUMN serving.write_request.is_acknowledged IS 'Whether the broker had acknowledged all of its events when the first response was sent.';
COMMENT ON COLUMN serving.write_request.rejected_because IS 'Why its events were permanently rejected; null if they were not.';
CREATE UNIQUE INDEX write_request_idempotency_key ON serving.write_request (username, idempotency_key)
WHERE idempotency_key IS NOT NULL;
CREATE INDEX write_request_unfinished ON serving.write_request (received_at)
WHERE persisted_at IS NULL AND rejected_because IS NULL;
CREATE INDEX write_request_received_at ON serving.write_request (received_at);

CREATE TABLE serving.written_event (
    event_id uuid PRIMARY KEY,
    request_id bigint NOT NULL REFERENCES serving.write_request (request_id) ON DELETE CASCADE,
    item integer NOT NULL,
    event_type text NOT NULL,
    entity_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL
);
COMMENT ON TABLE serving.written_event IS 'Grain: one event of a request.';
COMMENT ON COLUMN serving.written_event.event_id IS 'Id of the event, and entity tag of the version that it defines.';
COMMENT ON COLUMN serving.written_event.request_id IS 'The request.';
COMMENT ON COLUMN serving.written_event.item IS 'Position of the event in the request, from 0.';
COMMENT ON COLUMN serving.written_event.event_type IS 'Type of the event.';
COMMENT ON COLUMN serving.written_event.entity_id IS 'Id of the entity: of a check-in or comment its own id, otherwise the subject.';
COMMENT ON COLUMN serving.written_event.occurred_at IS 'Time of the event, UTC. A definition is always later than the version that it replaces.';
COMMENT ON COLUMN serving.written_event.data IS 'The data of the event.';
CREATE INDEX written_event_entity ON serving.written_event (event_type, entity_id, occurred_at DESC);
CREATE INDEX written_event_request ON serving.written_event (request_id);

GRANT SELECT, INSERT, UPDATE ON serving.write_request TO okr_serving;
GRANT SELECT, INSERT ON serving.written_event TO okr_serving;

-- Definitions that the state tables have read, from any source. Accounts that may define users see their addresses in
-- the current version, because a new definition replaces all of it.
CREATE VIEW api.logged_definition WITH (security_barrier) AS
SELECT event_type, entity_id, event_id, occurred_at, position, data
FROM app.event
WHERE
    event_type IN (
        'okr.organisation.defined.v1', 'okr.team.defined.v1', 'okr.user.defined.v1', 'okr.cycle.defined.v1',
        'okr.objective.defined.v1', 'okr.key_result.defined.v1'
    )
    AND withheld_because IS NULL;
COMMENT ON VIEW api.logged_definition IS 'Grain: one definition of an entity that the state tables have read and that counts.';
GRANT SELECT ON api.logged_definition TO okr_serving;

CREATE VIEW api.withheld_event WITH (security_barrier) AS
SELECT event_type, entity_id, event_id
FROM app.event
WHERE num_nonnulls(withheld_because) = 1;
COMMENT ON VIEW api.withheld_event IS 'Grain: one event that the state tables have read and that does not count: it defines no version.';
GRANT SELECT ON api.withheld_event TO okr_serving;

-- How far an event has come. It discloses nothing of its content.
CREATE FUNCTION serving.event_progress(wanted_id uuid, wanted_type text, wanted_entity text, written_at timestamptz)
RETURNS TABLE (
    kafka_partition integer, kafka_offset bigint, withheld_because text, rejected_because text, is_loaded boolean,
    publication_id bigint
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH found AS (
        SELECT event.kafka_partition, event.kafka_offset, event.withheld_because
        FROM app.event
        WHERE event.event_type = wanted_type AND event.entity_id = wanted_entity AND event.event_id = wanted_id
        UNION ALL
        -- The state tables have no comments. An event of the API is recorded when it is logged.
        SELECT loaded.kafka_partition, loaded.kafka_offset, NULL
        FROM raw.okr_user_events AS loaded
        WHERE
            wanted_type = 'okr.comment.posted.v1'
            AND loaded.event_type = wanted_type AND loaded.event_id = wanted_id
            AND loaded.recorded_at >= written_at - interval '1 hour'
        LIMIT 1
    )

    SELECT
        found.kafka_partition,
        found.kafka_offset,
        found.withheld_because,
        (SELECT refused.reason FROM app.refused_event AS refused WHERE refused.event_id = wanted_id::text LIMIT 1),
        coalesce(watermark.next_offset > found.kafka_offset, false),
        (
            SELECT min(publication.publication_id)
            FROM ops.publication
            WHERE
                publication.rolled_back_at IS NULL
                AND (publication.offsets -> 'okr_user_events' ->> found.kafka_partition::text)::bigint
                > found.kafka_offset
        )
    FROM (SELECT 1) AS always
    LEFT JOIN found ON true
    LEFT JOIN raw.load_watermark AS watermark
        ON watermark.topic = 'okr_user_events' AND found.kafka_partition = watermark.kafka_partition
$$;
COMMENT ON FUNCTION serving.event_progress IS 'One row: the position of an event in okr_user_events (null until the state consumer, or for comments the load, has read it), why it is withheld or rejected, whether it is loaded, and the first publication that covers it.';
REVOKE ALL ON FUNCTION serving.event_progress FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serving.event_progress TO okr_serving;

-- The status of a check-in's event is found by its id.
CREATE INDEX check_in_request_event_id ON api.check_in_request (event_id);

-- Requests are deleted after a retention period (ingestion/maintenance), by the role that maintains the state tables.
GRANT USAGE ON SCHEMA serving TO okr_loader;
GRANT SELECT, DELETE ON serving.write_request TO okr_loader;
GRANT SELECT ON serving.written_event TO okr_loader;
