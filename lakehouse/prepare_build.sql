-- An empty place for dbt to build into; what a failed run left there is gone.
DROP SCHEMA IF EXISTS marts_build CASCADE;
DROP SCHEMA IF EXISTS ml_build CASCADE;
CREATE SCHEMA marts_build;
CREATE SCHEMA ml_build;
COMMENT ON SCHEMA marts_build IS {build};
