CREATE TABLE ops.pruned_range (
    log_id text NOT NULL,
    topic text NOT NULL,
    kafka_partition int NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    rows bigint NOT NULL,
    rejected bigint NOT NULL,
    valid_offset_sum numeric NOT NULL,
    planned_at timestamptz NOT NULL DEFAULT now(),
    pruned_at timestamptz,
    PRIMARY KEY (log_id, topic, kafka_partition, next_offset)
);
COMMENT ON TABLE ops.pruned_range IS 'Grain: one range of offsets of a partition that okr lake maintain has pruned, or will prune, after its retention.';
COMMENT ON COLUMN ops.pruned_range.log_id IS 'The log whose offsets these are: <cluster>/<topic id>.';
COMMENT ON COLUMN ops.pruned_range.first_offset IS 'The first offset of the range: the end of the range before it, or the first landed offset.';
COMMENT ON COLUMN ops.pruned_range.next_offset IS 'The first offset after the range.';
COMMENT ON COLUMN ops.pruned_range.rows IS 'Rows of the range in the lake, valid and rejected, when the ledger balanced. At the other offsets, the broker had no record.';
COMMENT ON COLUMN ops.pruned_range.rejected IS 'Rejected rows among them, which were never in raw.';
COMMENT ON COLUMN ops.pruned_range.valid_offset_sum IS 'Sum of the offsets of the valid rows, which those deleted from raw must have.';
COMMENT ON COLUMN ops.pruned_range.planned_at IS 'When the range was counted, before anything was deleted, UTC.';
COMMENT ON COLUMN ops.pruned_range.pruned_at IS 'When its rows were deleted from raw, after the lake had recorded it as pruned, UTC; null until then.';
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.pruned_range TO okr_loader;

ALTER TABLE ops.ledger ADD COLUMN pruned bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN ops.ledger.pruned IS 'Rows that were landed and loaded, and pruned after their retention.';
ALTER TABLE ops.ledger_partition ADD COLUMN pruned bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN ops.ledger_partition.pruned IS 'Rows that were landed and loaded, and pruned after their retention.';
