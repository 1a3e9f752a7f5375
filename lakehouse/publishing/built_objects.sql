-- The tables and views that marts are built from, identified by their files on disk. Another build changes them, even a
-- manual one, and so does a repair that truncates `raw` and loads it again.
SELECT md5(string_agg(oid || ':' || relfilenode, ',' ORDER BY oid))
FROM pg_class
WHERE
    relnamespace IN ('raw'::regnamespace, 'staging'::regnamespace, 'intermediate'::regnamespace)
    AND relkind IN ('r', 'v');
