ALTER TABLE ops.ledger ADD COLUMN unlanded bigint;
ALTER TABLE ops.ledger ADD COLUMN absent bigint;
UPDATE ops.ledger
SET unlanded = summed.unlanded, absent = summed.absent
FROM (
    SELECT verified_at, topic, sum(unlanded) AS unlanded, sum(absent) AS absent
    FROM ops.ledger_partition
    GROUP BY verified_at, topic
) AS summed
WHERE ledger.verified_at = summed.verified_at AND ledger.topic = summed.topic;
COMMENT ON TABLE ops.ledger IS 'Conservation of events: produced = landed + absent + unlanded, landed = rejected + loaded + waiting, loaded = distinct + duplicates.';
COMMENT ON COLUMN ops.ledger.unlanded IS 'Offsets at or beyond the lake''s transaction version: on the way; null when the broker could not be asked.';
COMMENT ON COLUMN ops.ledger.absent IS 'Offsets below it that are not in the lake. The broker itself has no record there, or there is a problem.';
COMMENT ON COLUMN ops.ledger.verified_at IS 'When the ledger was drawn up.';
COMMENT ON COLUMN ops.ledger.rejected IS 'Rows in the lake that break their contract.';
COMMENT ON COLUMN ops.ledger.loaded IS 'Rows in raw.';
COMMENT ON COLUMN ops.ledger.waiting IS 'Good rows in the lake at or beyond the load''s watermark.';
COMMENT ON COLUMN ops.ledger.distinct_events IS 'Different event ids in raw.';
COMMENT ON COLUMN ops.ledger.duplicates IS 'Rows in raw whose event a source sent again; staging removes them.';
COMMENT ON COLUMN ops.ledger.passed IS 'Whether nothing is missing or double.';
COMMENT ON COLUMN ops.ledger.problems IS 'What is missing, double or does not add up, in words.';
