-- okr_owner owns what migrations make. dbt's schemas belong to okr_transform, for a publication renames them.
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'The primary database: the latest state of users and OKRs, written by the state consumer.';
CREATE SCHEMA raw;
COMMENT ON SCHEMA raw IS 'Good events as they came, append-only, one table per topic, written by okr load.';
CREATE SCHEMA ops;
COMMENT ON SCHEMA ops IS 'Publications and gate results: what readers see and why it may be seen.';
CREATE SCHEMA auth;
COMMENT ON SCHEMA auth IS 'Logins of API and page.';

CREATE SCHEMA staging AUTHORIZATION okr_transform;
CREATE SCHEMA intermediate AUTHORIZATION okr_transform;
CREATE SCHEMA marts_build AUTHORIZATION okr_transform;
CREATE SCHEMA ml_build AUTHORIZATION okr_transform;
CREATE SCHEMA marts AUTHORIZATION okr_transform;
CREATE SCHEMA ml AUTHORIZATION okr_transform;

COMMENT ON SCHEMA staging IS 'Views over raw: renamed, cast, duplicates removed.';
COMMENT ON SCHEMA intermediate IS 'Tables that marts and feature marts share.';
COMMENT ON SCHEMA marts_build IS 'The next publication of marts, before its gate. Nobody reads it.';
COMMENT ON SCHEMA ml_build IS 'The next publication of ml, before its gate. Nobody reads it.';
COMMENT ON SCHEMA marts IS 'What analysts, API and page read; replaced as a whole by each publication.';
COMMENT ON SCHEMA ml IS 'The feature mart of the same publication.';

GRANT USAGE ON SCHEMA app, raw TO okr_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO okr_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA raw GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO okr_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA raw GRANT TRUNCATE ON TABLES TO okr_loader;

GRANT USAGE ON SCHEMA raw, ops TO okr_transform;
ALTER DEFAULT PRIVILEGES IN SCHEMA raw GRANT SELECT ON TABLES TO okr_transform;
ALTER DEFAULT PRIVILEGES IN SCHEMA ops GRANT SELECT, INSERT, UPDATE ON TABLES TO okr_transform;

GRANT USAGE ON SCHEMA ops, auth, marts, ml TO okr_serving;
ALTER DEFAULT PRIVILEGES IN SCHEMA ops GRANT SELECT ON TABLES TO okr_serving;
ALTER DEFAULT PRIVILEGES IN SCHEMA auth GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO okr_serving;
ALTER DEFAULT PRIVILEGES FOR ROLE okr_transform IN SCHEMA marts, ml GRANT SELECT ON TABLES TO okr_serving;

-- The analyst sees marts and nothing else. A publication repeats this for the schemas it swaps in.
GRANT USAGE ON SCHEMA marts TO analyst;
ALTER DEFAULT PRIVILEGES FOR ROLE okr_transform IN SCHEMA marts GRANT SELECT ON TABLES TO analyst;
