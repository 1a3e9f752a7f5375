-- Grain: at most one row, a check-in that the log holds, whoever sent it, beside the first event that told of it.
SELECT check_in.check_in_id, check_in.key_result_id, check_in.value, check_in.confidence, check_in.note,
       check_in.is_final, check_in.checked_in_at AS occurred_at, first_event.event_id
FROM app.check_ins AS check_in
CROSS JOIN LATERAL (
    SELECT event_id
    FROM api.logged_check_in AS logged
    WHERE logged.check_in_id = check_in.check_in_id
    ORDER BY logged_at, kafka_partition, kafka_offset
    LIMIT 1
) AS first_event
WHERE check_in.check_in_id = %(check_in_id)s
