-- Grain: one row per result of a quality gate, newest first.
SELECT gate_result_id, gate, run_id, validated_at, passed, checked_rows, expectations, failed
FROM ops.gate_result
WHERE
    (%(before)s::bigint IS NULL OR gate_result_id < %(before)s::bigint)
    AND (%(gate)s::text IS NULL OR gate = %(gate)s)
    AND (%(passed)s::boolean IS NULL OR passed = %(passed)s)
ORDER BY gate_result_id DESC
LIMIT %(limit)s
