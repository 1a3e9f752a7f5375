-- Grain: one row per publication, newest first.
SELECT publication_id, published_at, data_as_of, dbt_run_id, model_version, is_current, rows
FROM ops.publication
ORDER BY publication_id DESC
LIMIT %(limit)s
