-- A check-in after its cycle was closed closes the key result there, and one while it was archived does not (ADR 19): the
-- state consumer projects all key results again when it starts.
DELETE FROM app.key_result_cycles;
ALTER TABLE app.key_result_cycles ADD COLUMN left_at timestamptz;
COMMENT ON COLUMN app.key_result_cycles.left_at IS 'When it left the cycle for another one; null where it is in its last one.';
