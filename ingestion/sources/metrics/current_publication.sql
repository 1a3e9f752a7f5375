-- At most one row.
SELECT
    publication_id AS id,
    extract(EPOCH FROM published_at) AS timestamp_seconds,
    extract(EPOCH FROM data_as_of) AS data_timestamp_seconds,
    model_version
FROM ops.publication
WHERE is_current
