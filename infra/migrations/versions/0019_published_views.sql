-- Readers' names become views that never change; what a publication replaces lies behind them. ADR 14 tells why.
CREATE SCHEMA marts_store AUTHORIZATION okr_transform;
CREATE SCHEMA ml_store AUTHORIZATION okr_transform;
CREATE SCHEMA publishing AUTHORIZATION okr_transform;
SET LOCAL ROLE okr_transform;
COMMENT ON SCHEMA marts_store IS 'What the views in marts read: a partitioned table per mart, a partition per version. Only okr_transform enters.';
COMMENT ON SCHEMA ml_store IS 'What the views in ml read.';
COMMENT ON SCHEMA publishing IS 'Which version the views show. Only okr_transform enters.';

CREATE TABLE publishing.attachment (
    attachment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    publication_id bigint NOT NULL
);
COMMENT ON TABLE publishing.attachment IS 'Grain: one attachment of a version''s tables as partitions. A plan knows those that its snapshot saw.';
CREATE TABLE publishing.switch (
    switch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attachment_id bigint NOT NULL,
    publication_id bigint NOT NULL,
    readers text[]
);
COMMENT ON TABLE publishing.switch IS 'Grain: one switch of readers to a version; the newest is what readers see.';
COMMENT ON COLUMN publishing.switch.readers IS 'Virtual ids of the transactions that ran after the switch and may still read what was current before; null until recorded.';
CREATE TABLE publishing.publisher ();
COMMENT ON TABLE publishing.publisher IS 'Locked by whoever prepares or publishes, one at a time. No reader may lock it.';
CREATE TABLE publishing.barrier ();
COMMENT ON TABLE publishing.barrier IS 'Locked while a switch commits, so that no plan is made from a half of it.';

-- Declared IMMUTABLE so that the planner evaluates it once per plan, by the snapshot of planning: the plan then never
-- asks for a version that was attached after it was made. pg_relation_size locks and unlocks the barrier: it waits for
-- a switch that is committing, and the lock makes PostgreSQL read what was announced about partitions until then.
CREATE FUNCTION publishing.newest_attachment() RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    PERFORM pg_relation_size('publishing.barrier'::regclass);
    RETURN (SELECT max(attachment_id) FROM publishing.attachment);
END
$$;
COMMENT ON FUNCTION publishing.newest_attachment IS 'The newest attachment that a plan which is being made knows.';

-- What is published so far becomes the first version behind the views.
DO $$
DECLARE
    place text;
    one record;
    current_id bigint := (SELECT publication_id FROM ops.publication WHERE is_current);
BEGIN
    FOREACH place IN ARRAY ARRAY['marts', 'ml'] LOOP
        FOR one IN
            SELECT nspname AS name, substring(nspname FROM '[0-9]+$')::bigint AS id
            FROM pg_namespace WHERE nspname ~ ('^' || place || '_(old|rejected)_[0-9]+$')
        LOOP
            IF one.id = 0 THEN
                EXECUTE format('DROP SCHEMA %I CASCADE', one.name);
            ELSE
                EXECUTE format('ALTER SCHEMA %I RENAME TO %I', one.name, place || '_v' || one.id);
            END IF;
        END LOOP;
        IF current_id IS NOT NULL THEN
            EXECUTE format('CREATE SCHEMA %I', place || '_v' || current_id);
            FOR one IN SELECT tablename AS name FROM pg_tables WHERE schemaname = place LOOP
                EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', place, one.name, place || '_v' || current_id);
            END LOOP;
        END IF;
        FOR one IN SELECT nspname AS name FROM pg_namespace WHERE nspname ~ ('^' || place || '_v[0-9]+$') LOOP
            EXECUTE format('DROP TABLE IF EXISTS %I.publication', one.name);
        END LOOP;
        -- Readers had rights on each table; of the versions they need none, and of the views they get them by default.
        FOR one IN
            SELECT DISTINCT c.oid::regclass AS name, acl.grantee::regrole AS grantee
            FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS acl
            WHERE c.relnamespace::regnamespace::text ~ ('^' || place || '_v[0-9]+$')
                AND acl.grantee NOT IN (0, c.relowner)
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', one.name, one.grantee);
        END LOOP;
        FOR one IN
            SELECT DISTINCT acl.grantee::regrole AS grantee
            FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS acl
            WHERE n.nspname = place AND acl.privilege_type = 'USAGE' AND acl.grantee NOT IN (0, n.nspowner)
        LOOP
            EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %s', place, one.grantee);
        END LOOP;
    END LOOP;
END
$$;

COMMENT ON SCHEMA marts IS 'What analysts, API and page read: views whose names, rights and comments stay; a publication replaces what is behind all of them in one transaction.';
COMMENT ON SCHEMA ml IS 'The feature mart of the same publication.';

CREATE VIEW marts.publication AS
SELECT publication_id, published_at, data_as_of, offsets, dbt_run_id, model_version
FROM ops.publication
WHERE publication_id = (
    SELECT publication_id FROM publishing.switch
    WHERE attachment_id <= publishing.newest_attachment()
    ORDER BY switch_id DESC LIMIT 1
);
COMMENT ON VIEW marts.publication IS 'One row: the publication that all marts are of at this moment. Every answer of API and page names it.';
COMMENT ON COLUMN marts.publication.publication_id IS 'Rises by publication; going back to an older one makes its number current again.';
COMMENT ON COLUMN marts.publication.published_at IS 'When these marts replaced the ones before, UTC.';
COMMENT ON COLUMN marts.publication.data_as_of IS 'The newest recorded_at among the user events that the marts are built from, UTC.';
COMMENT ON COLUMN marts.publication.offsets IS 'The next Kafka offset by topic and partition: every event below it is in these marts.';
COMMENT ON COLUMN marts.publication.dbt_run_id IS 'The pipeline run that built them.';
COMMENT ON COLUMN marts.publication.model_version IS 'The champion forecast model at that time; null where none was.';
RESET ROLE;
