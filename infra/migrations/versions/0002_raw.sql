-- Grain of each: one good event as it stands in the lake, by its place in the log. An event that its source sent twice is
-- here twice; staging keeps the first.
CREATE TABLE raw.okr_user_events (
    kafka_partition int NOT NULL,
    kafka_offset bigint NOT NULL,
    logged_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    source text NOT NULL,
    subject text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    recorded_at_assumed boolean NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (kafka_partition, kafka_offset)
);
COMMENT ON COLUMN raw.okr_user_events.logged_at IS 'When the broker had it (LogAppendTime), UTC.';
COMMENT ON COLUMN raw.okr_user_events.occurred_at IS 'When it happened, by its source, UTC.';
COMMENT ON COLUMN raw.okr_user_events.recorded_at IS 'When the log, or for imported history its source, had it, UTC.';
COMMENT ON COLUMN raw.okr_user_events.recorded_at_assumed IS 'Imported history without a recording time: recorded_at is occurred_at.';
COMMENT ON COLUMN raw.okr_user_events.data IS 'The event''s data as sent, unknown fields kept.';
CREATE INDEX okr_user_events_recorded_at ON raw.okr_user_events (recorded_at);

COMMENT ON TABLE raw.okr_user_events IS 'Good events of the topic okr_user_events: what happened around OKRs: definitions, check-ins, views.';
CREATE TABLE raw.okr_system_metrics (LIKE raw.okr_user_events INCLUDING ALL);
COMMENT ON TABLE raw.okr_system_metrics IS 'Good events of the topic okr_system_metrics: samples of hosts and applications.';
CREATE TABLE raw.okr_ai_predictions (LIKE raw.okr_user_events INCLUDING ALL);
COMMENT ON TABLE raw.okr_ai_predictions IS 'Good events of the topic okr_ai_predictions: forecasts that were answered.';
CREATE TABLE raw.okr_data_pipeline (LIKE raw.okr_user_events INCLUDING ALL);
COMMENT ON TABLE raw.okr_data_pipeline IS 'Good events of the topic okr_data_pipeline: steps of pipeline runs.';

-- Grain: one partition of one topic. Written in the transaction of the COPY it describes.
CREATE TABLE raw.load_watermark (
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, kafka_partition)
);
COMMENT ON TABLE raw.load_watermark IS 'Every good event below next_offset is in raw.<topic>, none at or above it.';
