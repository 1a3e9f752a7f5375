-- Grain: one key that is not wrapped with the current key-encryption key and was not found damaged.
SELECT key_id, owner, kek_id, wrapped_key
FROM app.data_key
WHERE kek_id <> %(current)s AND key_id <> ALL(%(damaged)s::uuid [])
ORDER BY key_id
LIMIT %(limit)s
