-- Grain: one gate, with its latest result.
SELECT DISTINCT ON (gate) gate, passed, checked_rows, expectations, failed
FROM ops.gate_result
WHERE checked_rows > 0
ORDER BY gate, validated_at DESC;
