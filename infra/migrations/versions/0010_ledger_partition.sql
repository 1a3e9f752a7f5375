-- Grain: one partition of a topic in one run of `okr lake verify`.
CREATE TABLE ops.ledger_partition (
    verified_at timestamptz NOT NULL,
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    produced bigint,
    landed bigint NOT NULL,
    rejected bigint NOT NULL,
    unlanded bigint,
    absent bigint NOT NULL,
    loaded bigint NOT NULL,
    waiting bigint NOT NULL,
    problems jsonb NOT NULL,
    PRIMARY KEY (verified_at, topic, kafka_partition),
    FOREIGN KEY (verified_at, topic) REFERENCES ops.ledger (verified_at, topic)
);
COMMENT ON TABLE ops.ledger_partition IS 'Conservation by partition: produced = landed + absent + unlanded, landed = rejected + loaded + waiting.';
COMMENT ON COLUMN ops.ledger_partition.produced IS 'Offsets that the broker gave since landing began; null when it could not be asked.';
COMMENT ON COLUMN ops.ledger_partition.unlanded IS 'Offsets at or beyond the lake''s transaction version: on the way; null when the broker could not be asked.';
COMMENT ON COLUMN ops.ledger_partition.absent IS 'Offsets below it that are not in the lake. The broker itself has no record there, or there is a problem.';
COMMENT ON COLUMN ops.ledger.produced IS 'Offsets that the broker gave since landing began; null when it could not be asked.';
GRANT SELECT, INSERT ON ops.ledger_partition TO okr_loader;

-- The raw gate asks for the definitions of the key results that a batch names; without this it reads all of raw.
CREATE INDEX okr_user_events_key_result ON raw.okr_user_events (subject)
WHERE event_type = 'okr.key_result.defined.v1';
