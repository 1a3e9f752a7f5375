-- Grain: at most one row, who a check-in is by, as the log last said: an app that corrects its value says nothing of that.
SELECT data ->> 'user_id' AS user_id, data ->> 'organisation_id' AS organisation_id
FROM app.event
WHERE event_type = 'okr.check_in.recorded.v1' AND entity_id = %(check_in_id)s
ORDER BY logged_at DESC, kafka_partition DESC, kafka_offset DESC
LIMIT 1
