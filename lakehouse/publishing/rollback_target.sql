-- The newest version that is older than the current one, still exists and was never rolled back.
SELECT publication_id
FROM ops.publication
WHERE rolled_back_at IS NULL
    AND publication_id < (SELECT publication_id FROM ops.publication WHERE is_current)
    AND to_regnamespace('marts_v' || publication_id) IS NOT NULL
ORDER BY publication_id DESC
LIMIT 1
