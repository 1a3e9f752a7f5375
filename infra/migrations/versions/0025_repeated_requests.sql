-- A check-in may be sent again under another idempotency key, or under its first: that key stands for it, too.
ALTER TABLE api.check_in_request DROP CONSTRAINT check_in_request_operation_check;
ALTER TABLE api.check_in_request ADD CONSTRAINT check_in_request_operation_check
    CHECK (operation IN ('record', 'correct', 'repeat'));
COMMENT ON COLUMN api.check_in_request.operation IS
    'record: POST /v1/check-ins. correct: PUT /v1/check-ins/{check_in_id}. repeat: a later POST of the same check-in '
    'under an idempotency key that was not its own.';
