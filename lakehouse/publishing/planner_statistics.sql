-- The planner cannot know which version a statement will read. With these statistics, it expects all rows of the
-- current version and one row of each other version. Without them, it would expect the rows of all versions together.
SELECT count(pg_restore_attribute_stats(
    'schemaname', n.nspname::text, 'relname', c.relname::text, 'attname', 'published_version', 'inherited', false,
    'null_frac', 0::real, 'avg_width', 8::integer,
    'n_distinct', CASE WHEN n.nspname IN ('marts_v' || %(shown)s::text, 'ml_v' || %(shown)s::text) THEN 1 ELSE -1 END::real
))
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS store ON store.oid = i.inhparent
WHERE store.relnamespace IN ('marts_store'::regnamespace, 'ml_store'::regnamespace)
    AND c.relkind = 'r'
    AND n.nspname IN (
        SELECT prefix || version::text
        FROM unnest(ARRAY['marts_v', 'ml_v']) AS prefix,
            unnest(ARRAY[%(shown)s, (SELECT publication_id FROM publishing.switch ORDER BY switch_id DESC LIMIT 1)]) AS version
    )
