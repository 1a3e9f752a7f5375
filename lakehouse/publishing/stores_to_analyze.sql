-- Grain: one partitioned table that has no statistics yet, or whose row count has changed by more than a fifth.
SELECT n.nspname, c.relname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT sum(greatest(p.reltuples, 0)) AS rows FROM pg_inherits JOIN pg_class AS p ON p.oid = inhrelid WHERE inhparent = c.oid
) AS parts
WHERE n.nspname IN ('marts_store', 'ml_store')
    AND c.relkind = 'p'
    AND parts.rows > 0
    AND (c.reltuples <= 0 OR c.reltuples NOT BETWEEN parts.rows / 1.2 AND parts.rows * 1.2)
