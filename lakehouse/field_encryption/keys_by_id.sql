SELECT key_id, owner, kek_id, wrapped_key FROM app.data_key WHERE key_id = ANY(%(key_ids)s)
