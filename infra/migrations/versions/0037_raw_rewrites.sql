-- A build takes over from the publication before it what no new event can change (ADR 21). An erasure or a correction of raw
-- adds no event and leaves the tables where they are on disk, so the build has to learn of it here.
CREATE TABLE ops.raw_rewrite (
    table_name text PRIMARY KEY,
    rewrites bigint NOT NULL,
    newest_at timestamptz NOT NULL
);
COMMENT ON TABLE ops.raw_rewrite IS 'Grain: a table of raw whose rows were updated, deleted or truncated at least once. A build that finds another count than the build before it builds everything.';
COMMENT ON COLUMN ops.raw_rewrite.rewrites IS 'Number of statements that updated, deleted or truncated.';
COMMENT ON COLUMN ops.raw_rewrite.newest_at IS 'When the latest of them began, UTC.';

CREATE FUNCTION ops.count_raw_rewrite() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    INSERT INTO ops.raw_rewrite AS counted (table_name, rewrites, newest_at)
    VALUES (tg_table_name, 1, now())
    ON CONFLICT (table_name) DO UPDATE SET rewrites = counted.rewrites + 1, newest_at = excluded.newest_at;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ops.count_raw_rewrite IS 'Counts a statement that updated, deleted or truncated rows of raw; loading only inserts.';

CREATE TRIGGER count_rewrite AFTER UPDATE OR DELETE OR TRUNCATE ON raw.okr_user_events
FOR EACH STATEMENT EXECUTE FUNCTION ops.count_raw_rewrite();
CREATE TRIGGER count_rewrite AFTER UPDATE OR DELETE OR TRUNCATE ON raw.okr_system_metrics
FOR EACH STATEMENT EXECUTE FUNCTION ops.count_raw_rewrite();
CREATE TRIGGER count_rewrite AFTER UPDATE OR DELETE OR TRUNCATE ON raw.okr_ai_predictions
FOR EACH STATEMENT EXECUTE FUNCTION ops.count_raw_rewrite();
CREATE TRIGGER count_rewrite AFTER UPDATE OR DELETE OR TRUNCATE ON raw.okr_data_pipeline
FOR EACH STATEMENT EXECUTE FUNCTION ops.count_raw_rewrite();

-- A later revision may change rows of raw, or what models call, in ways that no trigger counts.
CREATE VIEW ops.schema_revision AS SELECT version_num AS revision FROM public.schema_version;
COMMENT ON VIEW ops.schema_revision IS 'The newest revision that okr migrate has applied, for roles that may not read public.schema_version.';
