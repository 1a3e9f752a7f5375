-- Who was deactivated is active no more, whatever they did before.
SELECT
    activity.user_id,
    extract(EPOCH FROM activity.last_active_at)::float8 AS at
FROM app.user_activity AS activity
LEFT JOIN app.users AS known ON activity.user_id = known.source_user_id
WHERE activity.last_active_at > to_timestamp(%(since)s) AND known.deactivated_at IS NULL
