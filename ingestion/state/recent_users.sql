-- Return the users who were active after the given time, with the time of their last activity. Withheld events do not
-- count as activity, as in fct_user_activity_daily. Deactivated users are excluded, even if they were active.
WITH active AS (
    SELECT user_id, last_active_at AS at FROM app.user_activity WHERE last_active_at > to_timestamp(%(since)s)
    UNION ALL
    SELECT data ->> 'user_id', occurred_at
    FROM app.counted_event
    WHERE
        event_type IN (
            'okr.check_in.recorded.v1', 'okr.cycle.closed.v1', 'okr.objective.archived.v1',
            'okr.key_result.archived.v1'
        )
        AND occurred_at > to_timestamp(%(since)s)
        AND data ->> 'user_id' IS NOT NULL
)

SELECT
    active.user_id,
    extract(EPOCH FROM max(active.at))::float8 AS at
FROM active
LEFT JOIN app.users AS known ON active.user_id = known.source_user_id
WHERE known.deactivated_at IS NULL
GROUP BY active.user_id
