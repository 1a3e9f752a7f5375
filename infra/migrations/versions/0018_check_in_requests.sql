CREATE SCHEMA api;
COMMENT ON SCHEMA api IS 'What the API has to remember of requests, shared by all of its processes.';

-- Grain: one check-in or correction that was asked for. Written before its event is kept on disk, so that whoever
-- repeats the request sends the same event, with the same id and time, which counts once.
CREATE TABLE api.check_in_request (
    request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation text NOT NULL CHECK (operation IN ('record', 'correct')),
    username text NOT NULL,
    idempotency_key text,
    check_in_id text NOT NULL,
    key_result_id text NOT NULL,
    body jsonb NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    warnings jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    kept_at timestamptz,
    is_in_log boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE api.check_in_request IS 'Check-ins and corrections asked for by apps, and what the first answer said.';
COMMENT ON COLUMN api.check_in_request.operation IS 'record: POST /v1/check-ins. correct: PUT /v1/check-ins/{check_in_id}.';
COMMENT ON COLUMN api.check_in_request.idempotency_key IS 'The header Idempotency-Key; null where none was sent. One account''s keys are no other''s.';
COMMENT ON COLUMN api.check_in_request.body IS 'value, confidence, note and is_final as they were sent.';
COMMENT ON COLUMN api.check_in_request.kept_at IS 'When its event was on disk; null when it never was, as far as is known.';
COMMENT ON COLUMN api.check_in_request.is_in_log IS 'Whether the broker had acknowledged the event when the first answer was given.';
CREATE UNIQUE INDEX check_in_request_idempotency_key ON api.check_in_request (username, operation, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX check_in_request_recorded ON api.check_in_request (check_in_id) WHERE operation = 'record';
CREATE INDEX check_in_request_check_in_id ON api.check_in_request (check_in_id, request_id);

GRANT USAGE ON SCHEMA api TO okr_serving;
GRANT SELECT, INSERT, UPDATE ON api.check_in_request TO okr_serving;

-- Key results and check-ins that the marts do not have yet.
GRANT USAGE ON SCHEMA app TO okr_serving;
GRANT SELECT ON app.key_results, app.check_ins, app.event TO okr_serving;
