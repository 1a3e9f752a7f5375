-- Grain: one partition of a table behind a view.
SELECT
    regexp_replace(sn.nspname, '_store$', '') AS schema,
    store.relname AS store,
    sn.nspname AS store_schema,
    n.nspname AS version_schema,
    c.relname AS partition,
    i.inhdetachpending
FROM pg_inherits AS i
JOIN pg_class AS store ON store.oid = i.inhparent
JOIN pg_namespace AS sn ON sn.oid = store.relnamespace
JOIN pg_class AS c ON c.oid = i.inhrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE sn.nspname IN (SELECT schema || '_store' FROM unnest(%(schemas)s::text[]) AS schema) AND store.relkind = 'p'
    AND c.relkind = 'r'
ORDER BY 1, 2, n.nspname, c.relname
