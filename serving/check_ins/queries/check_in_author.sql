-- Returns at most one row: the author in the newest event of a check-in. A request to correct a check-in does
-- not contain the author, so the author is copied to the event of the correction.
SELECT user_id, organisation_id
FROM api.logged_check_in
WHERE check_in_id = %(check_in_id)s
ORDER BY logged_at DESC, kafka_partition DESC, kafka_offset DESC
LIMIT 1
