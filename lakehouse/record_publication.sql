-- The row that says what readers see. `publication` inside the published schema is its copy for the analyst.
WITH retired AS (
    UPDATE ops.publication SET is_current = false WHERE is_current
)
INSERT INTO ops.publication (published_at, data_as_of, offsets, dbt_run_id, gate, model_version, rows, is_current)
VALUES (%(published_at)s, %(data_as_of)s, %(offsets)s, %(dbt_run_id)s, %(gate)s, %(model_version)s, %(rows)s, false)
RETURNING publication_id;
