-- Grain: one partitioned table that has no partitions and no view, because its mart was removed or its columns changed.
SELECT n.nspname, c.relname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('marts_store', 'ml_store')
    AND c.relkind = 'p'
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid AND classid = 'pg_rewrite'::regclass
    )
