-- Grain: one row, the publication that the schema `marts` is.
SELECT publication_id, published_at, data_as_of, model_version
FROM marts.publication
