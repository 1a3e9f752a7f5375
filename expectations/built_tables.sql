-- One table of the build schema, if it has any: a publication moves all its tables to another schema.
SELECT tablename FROM pg_tables WHERE schemaname = 'marts_build' LIMIT 1
