-- Grain: at most one row, the current publication.
SELECT publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version, rows
FROM ops.publication
WHERE is_current;
