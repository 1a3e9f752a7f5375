-- Records the last uses of API keys. Keys are locked in order, so that two workers cannot deadlock.
WITH used AS (
    SELECT key.prefix, use.used_at
    FROM unnest(%(prefixes)s::text [], %(times)s::timestamptz []) AS use (prefix, used_at)
    INNER JOIN auth.api_key AS key ON use.prefix = key.prefix
    ORDER BY key.prefix
    FOR UPDATE OF key
)
UPDATE auth.api_key AS key
SET last_used_at = greatest(key.last_used_at, used.used_at)
FROM used
WHERE key.prefix = used.prefix
RETURNING key.prefix
