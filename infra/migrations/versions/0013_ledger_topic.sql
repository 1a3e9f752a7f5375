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
