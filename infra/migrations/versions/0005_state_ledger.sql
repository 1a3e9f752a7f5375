-- Grain: one subject and event type, its newest event by event time. No foreign keys: a key result may come before its
-- objective or owner; app.users and app.okrs are projected from here, so they do not depend on the order of arrival.
CREATE TABLE app.newest_event (
    event_type text NOT NULL,
    subject text NOT NULL,
    occurred_at timestamptz NOT NULL,
    kafka_partition int NOT NULL,
    kafka_offset bigint NOT NULL,
    data jsonb NOT NULL,
    first_occurred_at timestamptz NOT NULL,
    PRIMARY KEY (event_type, subject)
);
COMMENT ON TABLE app.newest_event IS 'The newest event of each subject and type: by occurred_at, then by partition and offset.';
COMMENT ON COLUMN app.newest_event.first_occurred_at IS 'Event time of the oldest event of this subject and type that was seen.';
CREATE INDEX newest_event_user_email ON app.newest_event ((data ->> 'email')) WHERE event_type = 'okr.user.defined.v1';
CREATE INDEX newest_event_key_result_objective ON app.newest_event ((data ->> 'objective_id'))
    WHERE event_type = 'okr.key_result.defined.v1';
CREATE INDEX newest_event_key_result_owner ON app.newest_event ((data ->> 'owner_user_id'))
    WHERE event_type = 'okr.key_result.defined.v1';

-- Grain: one topic in one run of `okr lake verify`.
CREATE TABLE ops.ledger (
    verified_at timestamptz NOT NULL,
    topic text NOT NULL,
    produced bigint,
    landed bigint NOT NULL,
    rejected bigint NOT NULL,
    loaded bigint NOT NULL,
    waiting bigint NOT NULL,
    distinct_events bigint NOT NULL,
    duplicates bigint NOT NULL,
    passed boolean NOT NULL,
    problems jsonb NOT NULL,
    PRIMARY KEY (verified_at, topic)
);
COMMENT ON TABLE ops.ledger IS 'Conservation of events: produced = landed + on the way, landed = rejected + loaded + waiting, loaded = distinct + duplicates.';
COMMENT ON COLUMN ops.ledger.produced IS 'Records that the broker ever gave an offset to; null when it could not be asked.';
COMMENT ON COLUMN ops.ledger.landed IS 'Rows in the lake, good and rejected.';
GRANT USAGE ON SCHEMA ops TO okr_loader;
GRANT SELECT, INSERT ON ops.ledger TO okr_loader;
