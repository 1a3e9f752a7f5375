-- If the contract of an event does not define user_id, the event may contain a field of that name with any value. Only
-- values that the contracts would accept are used.
INSERT INTO app.user_activity AS existing (user_id, last_active_at)
SELECT
    incoming.data ->> 'user_id' AS user_id,
    max(incoming.occurred_at)
FROM unnest(%(occurred_at)b::timestamptz [], %(data)b::jsonb []) AS incoming (occurred_at, data)
WHERE jsonb_typeof(incoming.data -> 'user_id') = 'string' AND length(incoming.data ->> 'user_id') BETWEEN 1 AND 128
GROUP BY incoming.data ->> 'user_id'
ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE
SET last_active_at = excluded.last_active_at
WHERE existing.last_active_at < excluded.last_active_at
