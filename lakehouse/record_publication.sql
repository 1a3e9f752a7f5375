-- The row that says what was published. It becomes current when readers see it.
INSERT INTO ops.publication (
    published_at, data_as_of, offsets, inputs, dbt_run_id, gate, model_version, rows, is_current
)
VALUES (
    %(published_at)s, %(data_as_of)s, %(offsets)s, %(inputs)s, %(dbt_run_id)s, %(gate)s, %(model_version)s, %(rows)s,
    false
)
RETURNING publication_id;
