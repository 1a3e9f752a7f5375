-- Grain: at most one row, the author of a check-in, from its newest event. An app's corrections do not name the author.
SELECT user_id, organisation_id
FROM api.logged_check_in
WHERE check_in_id = %(check_in_id)s
ORDER BY logged_at DESC, kafka_partition DESC, kafka_offset DESC
LIMIT 1
