UPDATE app.data_key
SET kek_id = NULL, wrapped_key = NULL, destroyed_at = now()
WHERE owner = ANY(%(owners)s) AND destroyed_at IS NULL
