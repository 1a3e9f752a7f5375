-- Grain: one row per key-encryption key with which a data key is wrapped.
SELECT DISTINCT kek_id FROM app.data_key WHERE kek_id IS NOT NULL
