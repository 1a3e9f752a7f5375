-- The tables and views that marts are built from, as they lie on disk: another build, also one by hand, changes them.
SELECT md5(string_agg(oid || ':' || relfilenode, ',' ORDER BY oid))
FROM pg_class
WHERE relnamespace IN ('staging'::regnamespace, 'intermediate'::regnamespace) AND relkind IN ('r', 'v');
