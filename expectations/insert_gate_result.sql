INSERT INTO ops.gate_result (gate, run_id, validated_at, passed, checked_rows, expectations, failed, report)
VALUES (%(gate)s, %(run_id)s, %(validated_at)s, %(passed)s, %(checked_rows)s, %(expectations)s, %(failed)s, %(report)s)
