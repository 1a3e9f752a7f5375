-- Returns one row: the publication that the schema `marts` shows.
SELECT publication_id, published_at, data_as_of, model_version
FROM marts.publication
