<<<<<<< HEAD
-- The row that says what was published. It becomes current when readers see it. Failures of earlier steps hold nothing back
-- any longer, also where the callback of a step that succeeded since was killed before it deleted one; `document` comes after
-- the publication.
WITH superseded AS (
    DELETE FROM ops.step_failure
    WHERE pipeline = 'okr_etl_dag' AND step <> 'document' AND failed_at <= %(published_at)s
)

=======
-- The row of a new publication. It becomes current when readers see it.
>>>>>>> c90db01 (lakehouse: plain words in publication, publishing, quarantine, contracts and schemas; docs/events.md names three places for an event type)
INSERT INTO ops.publication (
    published_at, data_as_of, offsets, inputs, dbt_run_id, gate, model_version, rows, is_current
)
VALUES (
    %(published_at)s, %(data_as_of)s, %(offsets)s, %(inputs)s, %(dbt_run_id)s, %(gate)s, %(model_version)s, %(rows)s,
    false
)
RETURNING publication_id;
