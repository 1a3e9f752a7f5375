-- Views that read the column (ops.publication_hold) follow the rename.
ALTER TABLE ops.gate_result RENAME COLUMN judged_at TO validated_at;
ALTER INDEX ops.gate_result_gate_judged_at RENAME TO gate_result_gate_validated_at;
COMMENT ON TABLE ops.gate_result IS 'Grain: one run of a quality gate, with its result and the number of rows checked.';
