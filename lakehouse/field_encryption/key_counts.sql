-- Grain: one row per kind of owner and key-encryption key (null: destroyed).
SELECT split_part(owner, ':', 1) AS kind, kek_id, count(*) AS keys, max(coalesce(destroyed_at, created_at)) AS newest_at
FROM app.data_key
GROUP BY split_part(owner, ':', 1), kek_id
ORDER BY kind, kek_id
