-- Grain: one gate, its newest validation.
SELECT DISTINCT ON (gate)
    gate,
    passed::int AS passed,
    extract(EPOCH FROM validated_at) AS validated_timestamp_seconds,
    checked_rows,
    failed AS failed_expectations
FROM ops.gate_result
ORDER BY gate, validated_at DESC, gate_result_id DESC
