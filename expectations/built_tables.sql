-- One table of the build schema. There is none after a publication, which moves all tables to another schema.
SELECT tablename FROM pg_tables WHERE schemaname = 'marts_build' LIMIT 1
