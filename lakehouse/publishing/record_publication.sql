-- Insert a publication, which becomes current when readers see it. Earlier step failures are deleted, so that they no
-- longer put publications on hold. (The callback of a later success should have deleted them, but may have been
-- killed.) Failures of `document` are not deleted, because that step runs after the publication.
WITH superseded AS (
    DELETE FROM ops.step_failure
    WHERE pipeline = 'okr_etl_dag' AND step <> 'document' AND failed_at <= %(published_at)s
)

INSERT INTO ops.publication (
    published_at, data_as_of, offsets, inputs, dbt_run_id, gate, model_version, rows, is_current
)
VALUES (
    %(published_at)s, %(data_as_of)s, %(offsets)s, %(inputs)s, %(dbt_run_id)s, %(gate)s, %(model_version)s, %(rows)s,
    false
)
RETURNING publication_id;
