-- Grain: at most one row, who a check-in is by, as the log last said: an app that corrects its value says nothing of that.
SELECT user_id, organisation_id
FROM api.logged_check_in
WHERE check_in_id = %(check_in_id)s
ORDER BY logged_at DESC, kafka_partition DESC, kafka_offset DESC
LIMIT 1
