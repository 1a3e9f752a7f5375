-- Grain: at most one row, the author of a check-in, from its newest event. A correction's request names no author: its event repeats this one.
SELECT user_id, organisation_id
FROM api.logged_check_in
WHERE check_in_id = %(check_in_id)s
ORDER BY logged_at DESC, kafka_partition DESC, kafka_offset DESC
LIMIT 1
