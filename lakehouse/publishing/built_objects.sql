-- The tables and views that marts are built from, as they are on disk: another build, also one by hand, changes them, and
-- so does a repair that empties `raw` and loads it again.
SELECT md5(string_agg(oid || ':' || relfilenode, ',' ORDER BY oid))
FROM pg_class
WHERE
    relnamespace IN ('raw'::regnamespace, 'staging'::regnamespace, 'intermediate'::regnamespace)
    AND relkind IN ('r', 'v');
