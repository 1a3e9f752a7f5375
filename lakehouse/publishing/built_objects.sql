-- A hash of the tables and views that marts are built from, identified by their files on disk. Every later build
-- changes this hash, and so does a manual dbt run or a repair that truncates and reloads `raw`.
SELECT md5(string_agg(oid || ':' || relfilenode, ',' ORDER BY oid))
FROM pg_class
WHERE
    relnamespace IN ('raw'::regnamespace, 'staging'::regnamespace, 'intermediate'::regnamespace)
    AND relkind IN ('r', 'v');
