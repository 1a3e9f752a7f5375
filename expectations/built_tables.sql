-- A table in the schema that dbt builds into; none after a publication, which takes them all.
SELECT tablename FROM pg_tables WHERE schemaname = 'marts_build' LIMIT 1
