-- Grain: one row per result of a quality gate, newest first.
SELECT gate_result_id, gate, run_id, validated_at, passed, checked_rows, expectations, failed
FROM ops.gate_result
ORDER BY gate_result_id DESC
LIMIT %(limit)s
