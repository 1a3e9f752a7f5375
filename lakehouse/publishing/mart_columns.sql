-- Grain: one table in marts<suffix> or ml<suffix>, with its columns as [[column, type], ...] in order.
SELECT
    regexp_replace(n.nspname, %(suffix)s || '$', '') AS schema,
    c.relname,
    coalesce(
        jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
            FILTER (WHERE a.attname <> %(key)s),
        '[]'
    )
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname IN (SELECT schema || %(suffix)s FROM unnest(%(schemas)s::text[]) AS schema)
    AND c.relkind IN ('r', 'p')
    -- Exclude old tables and copies that were created when a mart's columns changed.
    AND c.relname !~ '__(until|as)_[0-9]+$'
GROUP BY n.nspname, c.relname
ORDER BY 1, 2
