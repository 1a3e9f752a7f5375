-- Create empty schemas for dbt. Tables from a failed run are dropped.
DROP SCHEMA IF EXISTS marts_build CASCADE;
DROP SCHEMA IF EXISTS ml_build CASCADE;
CREATE SCHEMA marts_build;
CREATE SCHEMA ml_build;
COMMENT ON SCHEMA marts_build IS {build};
