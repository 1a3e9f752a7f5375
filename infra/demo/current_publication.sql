-- The current publication, if any.
SELECT publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version, rows
FROM ops.publication
WHERE is_current;
