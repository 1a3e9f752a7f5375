-- Grain: one row, the publication that this schema is.
CREATE TABLE marts_build.publication AS
SELECT publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version
FROM ops.publication
WHERE publication_id = {publication_id};
COMMENT ON TABLE marts_build.publication IS 'One row: the publication that the marts of this schema are. Every answer of API and page names it.';
COMMENT ON COLUMN marts_build.publication.publication_id IS 'Rises by publication; going back to an older one makes its number current again.';
COMMENT ON COLUMN marts_build.publication.published_at IS 'When these marts replaced the ones before, UTC.';
COMMENT ON COLUMN marts_build.publication.data_as_of IS 'The newest recorded_at among the user events that the marts are built from, UTC.';
COMMENT ON COLUMN marts_build.publication.offsets IS 'The next Kafka offset by topic and partition: every event below it is in these marts.';
COMMENT ON COLUMN marts_build.publication.dbt_run_id IS 'The pipeline run that built them.';
COMMENT ON COLUMN marts_build.publication.model_version IS 'The champion forecast model at that time; null where none was.';
