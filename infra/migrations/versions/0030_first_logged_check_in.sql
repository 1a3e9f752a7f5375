-- What a check-in said at first answers its repeat; what it says now, after corrections, is in app.check_ins.
CREATE OR REPLACE VIEW api.logged_check_in WITH (security_barrier) AS
SELECT
    entity_id AS check_in_id,
    event_id,
    data ->> 'user_id' AS user_id,
    data ->> 'organisation_id' AS organisation_id,
    logged_at,
    kafka_partition,
    kafka_offset,
    data ->> 'key_result_id' AS key_result_id,
    occurred_at,
    (data ->> 'value')::float8 AS value,
    (data ->> 'confidence')::float8 AS confidence,
    data ->> 'note' AS note,
    coalesce((data ->> 'is_final')::boolean, false) AS is_final
FROM app.event
WHERE event_type = 'okr.check_in.recorded.v1';

-- A key that was sent with a check-in known from the log alone was kept beside its content of that moment.
UPDATE api.check_in_request AS request
SET
    body = jsonb_build_object(
        'value', logged.value, 'confidence', logged.confidence, 'note', logged.note, 'is_final', logged.is_final
    ),
    occurred_at = logged.occurred_at
FROM api.logged_check_in AS logged
WHERE
    request.operation = 'repeat'
    AND logged.check_in_id = request.check_in_id
    AND logged.event_id = request.event_id
    AND logged.key_result_id = request.key_result_id;

-- Two requests of one moment could bind a key to two check-ins, one by recording it and one by repeating it. The first
-- one holds, as it did for every later request; the other check-in stays known by its id.
UPDATE api.check_in_request AS later
SET idempotency_key = null
WHERE
    later.operation IN ('record', 'repeat')
    AND EXISTS (
        SELECT FROM api.check_in_request AS first_one
        WHERE
            first_one.operation IN ('record', 'repeat')
            AND first_one.username = later.username
            AND first_one.idempotency_key = later.idempotency_key
            AND first_one.request_id < later.request_id
    );
DROP INDEX api.check_in_request_idempotency_key;
CREATE UNIQUE INDEX check_in_request_recorded_key ON api.check_in_request (username, idempotency_key)
WHERE operation IN ('record', 'repeat') AND idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX check_in_request_corrected_key ON api.check_in_request (username, idempotency_key)
WHERE operation = 'correct' AND idempotency_key IS NOT NULL;
