-- In an event whose contract knows no user, user_id is an unknown field and may be anything.
INSERT INTO app.user_activity AS kept (user_id, last_active_at)
SELECT
    came.data ->> 'user_id' AS user_id,
    max(came.occurred_at)
FROM unnest(%(occurred_at)b::timestamptz [], %(data)b::jsonb []) AS came (occurred_at, data)
WHERE jsonb_typeof(came.data -> 'user_id') = 'string' AND length(came.data ->> 'user_id') BETWEEN 1 AND 128
GROUP BY came.data ->> 'user_id'
ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE
SET last_active_at = excluded.last_active_at
WHERE kept.last_active_at < excluded.last_active_at
