-- A move into a cycle that has not started takes effect when it starts, and a closing check-in soon after the end closes the
-- cycle that was left (ADR 19): the state consumer projects all key results again when it starts.
DELETE FROM app.key_result_cycles;
ALTER TABLE app.key_result_cycles ADD COLUMN opened_at timestamptz NOT NULL;
ALTER TABLE app.key_result_cycles ADD COLUMN is_closed_by_check_in boolean NOT NULL;
COMMENT ON COLUMN app.key_result_cycles.opened_at IS 'When it came into the cycle; yet to come where it is planned for the next one.';
COMMENT ON COLUMN app.key_result_cycles.is_closed_by_check_in IS 'Whether a closing check-in stands, and not the cycle''s closing alone.';

-- What the API asks: which cycle a closing check-in closes.
GRANT SELECT ON app.key_result_cycles, app.cycles TO okr_serving;
