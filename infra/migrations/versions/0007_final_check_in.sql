-- A check-in after the closing one must not open a key result again, so the newest closing one is kept under a type of
-- its own. What is closed now stays closed.
INSERT INTO app.newest_event (
    event_type, subject, occurred_at, kafka_partition, kafka_offset, data, first_occurred_at
)
SELECT
    event_type || '/final',
    subject,
    occurred_at,
    kafka_partition,
    kafka_offset,
    data,
    occurred_at
FROM app.newest_event
WHERE event_type = 'okr.check_in.recorded.v1' AND (data ->> 'is_final')::boolean;
COMMENT ON COLUMN app.newest_event.event_type IS 'The event''s type; okr.check_in.recorded.v1/final is the newest check-in that closes its key result.';
COMMENT ON COLUMN app.okrs.last_check_in_at IS 'Event time of the newest check-in, of a closed key result the newest closing one; an older one that comes later changes nothing.';
