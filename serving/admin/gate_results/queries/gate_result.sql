-- One result of a quality gate with its report.
SELECT gate_result_id, gate, run_id, validated_at, passed, checked_rows, expectations, failed, report
FROM ops.gate_result
WHERE gate_result_id = %(gate_result_id)s
