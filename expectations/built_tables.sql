-- One table of the build schema, if any: a publication moves all of them out.
SELECT tablename FROM pg_tables WHERE schemaname = 'marts_build' LIMIT 1
