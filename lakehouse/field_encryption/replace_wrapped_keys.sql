-- A key that was destroyed or rotated in the meantime stays as it is.
UPDATE app.data_key AS stored
SET kek_id = %(current)s, wrapped_key = new.wrapped_key, rotated_at = now()
FROM unnest(%(key_ids)s::uuid [], %(old)s::bytea [], %(wrapped)s::bytea []) AS new (key_id, old_key, wrapped_key)
WHERE stored.key_id = new.key_id AND stored.wrapped_key = new.old_key
