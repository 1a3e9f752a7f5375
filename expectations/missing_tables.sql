-- Tables and views that the gate expects in a build but that are missing.
SELECT wanted.name
FROM unnest(%(tables)s::text []) AS wanted (name)
WHERE NOT EXISTS (
    SELECT FROM pg_class AS built
    WHERE built.relnamespace::regnamespace::text = ANY(%(schemas)s) AND built.relname = wanted.name
)
ORDER BY wanted.name
