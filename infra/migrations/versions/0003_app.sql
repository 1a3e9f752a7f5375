-- Grain: one user, the newest state by event time.
CREATE TABLE app.users (
    user_id uuid PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    source_user_id text NOT NULL UNIQUE,
    team_id text,
    defined_at timestamptz NOT NULL,
    defined_offset bigint NOT NULL
);
COMMENT ON COLUMN app.users.user_id IS 'The source''s id where it is a UUID, else the UUIDv5 of it (lakehouse.ids.natural_uuid).';
COMMENT ON COLUMN app.users.defined_at IS 'When the state in this row became true; an older definition that comes later changes nothing.';
COMMENT ON COLUMN app.users.defined_offset IS 'Kafka offset of that definition: between two of one moment the higher offset wins.';

-- Grain: one key result under its objective, the newest state by event time.
CREATE TABLE app.okrs (
    okr_id uuid PRIMARY KEY,
    user_id uuid REFERENCES app.users (user_id),
    objective text,
    key_result text,
    progress numeric(3, 2),
    status text NOT NULL DEFAULT 'not_started',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    key_result_id text NOT NULL UNIQUE,
    objective_id text,
    team_id text,
    cycle_id text,
    baseline double precision,
    target double precision,
    last_value double precision,
    last_check_in_at timestamptz,
    last_check_in_offset bigint,
    is_closed boolean NOT NULL DEFAULT false,
    defined_at timestamptz,
    defined_offset bigint
);
COMMENT ON COLUMN app.okrs.okr_id IS 'The key result''s id where it is a UUID, else the UUIDv5 of it (lakehouse.ids.natural_uuid).';
COMMENT ON COLUMN app.okrs.progress IS '(last_value - baseline) / (target - baseline), held to what the type can hold (-9.99 to 9.99); null before the first check-in.';
COMMENT ON COLUMN app.okrs.defined_at IS 'Event time of the definition in this row; null while only check-ins came.';
COMMENT ON COLUMN app.okrs.last_check_in_at IS 'Event time of the newest check-in; an older one that comes later changes nothing.';
CREATE INDEX okrs_user_id ON app.okrs (user_id);
CREATE INDEX okrs_objective_id ON app.okrs (objective_id);

-- Grain: one partition that a consumer group reads. Written in the transaction of the upserts it covers.
CREATE TABLE app.consumer_offset (
    cluster_id text NOT NULL,
    consumer_group text NOT NULL,
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, consumer_group, topic, kafka_partition)
);
