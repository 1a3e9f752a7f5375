INSERT INTO ops.gate_result (gate, run_id, judged_at, passed, checked_rows, expectations, failed, report)
VALUES (%(gate)s, %(run_id)s, %(judged_at)s, %(passed)s, %(checked_rows)s, %(expectations)s, %(failed)s, %(report)s)
