-- Creates the keys of owners that have none. Of concurrent processes, the first one wins. The order prevents deadlocks.
INSERT INTO app.data_key (key_id, owner, kek_id, wrapped_key)
SELECT new.key_id, new.owner, %(kek_id)s, new.wrapped_key
FROM unnest(%(key_ids)s::uuid [], %(owners)s::text [], %(wrapped)s::bytea []) AS new (key_id, owner, wrapped_key)
ORDER BY new.owner
ON CONFLICT (owner) DO NOTHING
