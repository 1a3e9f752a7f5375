-- Returns at most one row: a check-in's first event in the log, from any source. Later events are corrections.
SELECT
    logged.check_in_id, logged.key_result_id, logged.value, logged.confidence, logged.note, logged.is_final,
    logged.occurred_at, logged.event_id
FROM app.check_ins AS check_in
INNER JOIN api.logged_check_in AS logged
    ON check_in.check_in_id = logged.check_in_id AND check_in.key_result_id = logged.key_result_id
WHERE check_in.check_in_id = %(check_in_id)s
ORDER BY logged.logged_at, logged.kafka_partition, logged.kafka_offset
LIMIT 1
