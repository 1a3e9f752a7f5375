-- Ids count within one installation (ADR 18): an event that would move an entity to another organisation changes no state
-- table, as it reaches no mart. It is kept, with its reason, for a later event may show that it was right.
ALTER TABLE app.event ADD COLUMN withheld_because text;
COMMENT ON COLUMN app.event.withheld_because IS 'Why the event changes no state table: it contradicts what an id means, or an operator withheld it; null where it counts.';

CREATE VIEW app.counted_event AS
SELECT
    event_type,
    entity_id,
    event_id,
    occurred_at,
    logged_at,
    kafka_partition,
    kafka_offset,
    data,
    position
FROM app.event
-- IS NULL, but planned as true of nearly all rows: before statistics are there, PostgreSQL takes IS NULL for 0.5 %.
WHERE num_nonnulls(withheld_because) <> 1;
COMMENT ON VIEW app.counted_event IS 'The events that the state tables stand on.';

-- Grain: one decision of ops.event_review that the state tables follow.
CREATE TABLE app.applied_review (
    event_id uuid NOT NULL,
    rule text NOT NULL,
    decision text NOT NULL,
    PRIMARY KEY (event_id, rule)
);
COMMENT ON TABLE app.applied_review IS 'Decisions of operators that the state tables follow; what ops.event_review says otherwise is applied with the next event.';

-- The organisations that an entity belongs to: those of the first claim that names any, and those that an operator
-- released. dbt has it as the macro organisations_of.
CREATE FUNCTION app.organisations_so_far(known text [], said text [], is_released boolean) RETURNS text []
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN known IS NULL THEN said
        WHEN said IS NULL OR NOT is_released THEN known
        ELSE ARRAY(SELECT unnest(known) UNION SELECT unnest(said) ORDER BY 1)
    END
$$;
CREATE AGGREGATE app.organisations_of(text [], boolean) (
    SFUNC = app.organisations_so_far, STYPE = text [], PARALLEL = SAFE
);

-- From an organisation down to what stands on it.
CREATE INDEX event_organisation ON app.event ((data ->> 'organisation_id'))
WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1');
CREATE INDEX event_user_team ON app.event ((data ->> 'team_id')) WHERE event_type = 'okr.user.defined.v1';
CREATE INDEX event_check_in_key_result ON app.event ((data ->> 'key_result_id'))
WHERE event_type = 'okr.check_in.recorded.v1';
CREATE INDEX event_by_user ON app.event ((data ->> 'user_id'))
WHERE event_type IN (
    'okr.check_in.recorded.v1', 'okr.key_result.archived.v1', 'okr.objective.archived.v1', 'okr.cycle.closed.v1'
);

-- As before, but of the events that count.
CREATE OR REPLACE FUNCTION app.endings(ended_type text, ids text []) RETURNS TABLE (
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
                FROM app.counted_event AS ending
                WHERE ending.event_type = ended_type AND (ids IS NULL OR ending.entity_id = ANY(ids))
            ) AS ended
            INNER JOIN app.counted_event AS event
                ON ended.entity_id = event.entity_id
                AND event.event_type IN (ended_type, 'okr.' || split_part(ended_type, '.', 2) || '.defined.v1')
        ) AS compared
        WHERE compared.is_ending <> compared.was_ended
    ) AS changed
    WHERE changed.is_ending
$$;

-- What two organisations sent before this revision is read again, and compared with what each id means.
DELETE FROM app.consumer_offset
WHERE
    consumer_group = 'okr-state'
    AND (
        SELECT min(data ->> 'organisation_id') <> max(data ->> 'organisation_id')
        FROM app.event
        WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1')
    );
