-- Grain: one view (column_name is null) or view column whose comment differs from the one in the version's table.
WITH pairs AS (
    SELECT
        vn.nspname AS schema, v.relname AS name, v.oid AS view, t.oid AS built, 0 AS number, NULL AS column_name, 0 AS built_number
    FROM pg_class AS v
    JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
    JOIN pg_namespace AS tn ON tn.nspname = vn.nspname || '_v' || %(id)s::text
    JOIN pg_class AS t ON t.relnamespace = tn.oid AND t.relname = v.relname
    WHERE vn.nspname = ANY (%(schemas)s) AND v.relkind = 'v'
    UNION ALL
    SELECT vn.nspname, v.relname, v.oid, t.oid, a.attnum, a.attname, b.attnum
    FROM pg_class AS v
    JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
    JOIN pg_namespace AS tn ON tn.nspname = vn.nspname || '_v' || %(id)s::text
    JOIN pg_class AS t ON t.relnamespace = tn.oid AND t.relname = v.relname
    JOIN pg_attribute AS a ON a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_attribute AS b ON b.attrelid = t.oid AND b.attname = a.attname AND NOT b.attisdropped
    WHERE vn.nspname = ANY (%(schemas)s) AND v.relkind = 'v'
)
SELECT p.schema, p.name, p.column_name, wanted.description
FROM pairs AS p
LEFT JOIN pg_description AS wanted
    ON wanted.classoid = 'pg_class'::regclass AND wanted.objoid = p.built AND wanted.objsubid = p.built_number
LEFT JOIN pg_description AS now ON now.classoid = 'pg_class'::regclass AND now.objoid = p.view AND now.objsubid = p.number
WHERE wanted.description IS DISTINCT FROM now.description
ORDER BY 1, 2, p.number
