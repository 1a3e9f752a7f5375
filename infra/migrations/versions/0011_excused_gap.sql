-- Grain: one gap of a partition's landed offsets, of one log, that the broker itself made.
CREATE TABLE ops.excused_gap (
    log_id text NOT NULL,
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    excused_at timestamptz NOT NULL,
    PRIMARY KEY (log_id, topic, kafka_partition, first_offset)
);
COMMENT ON TABLE ops.excused_gap IS 'Gaps in which the broker said that it has no record (control records, aborted transactions, compaction); after its retention it cannot say so again.';
COMMENT ON COLUMN ops.excused_gap.log_id IS 'The log whose offsets these are: <cluster>/<topic id>.';
COMMENT ON COLUMN ops.excused_gap.next_offset IS 'The first offset after the gap.';
GRANT SELECT, INSERT, UPDATE ON ops.excused_gap TO okr_loader;
