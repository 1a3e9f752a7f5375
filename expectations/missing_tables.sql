-- The tables and views that the gate requires but that the build does not have.
SELECT required.name
FROM unnest(%(tables)s::text []) AS required (name)
WHERE NOT EXISTS (
    SELECT FROM pg_class AS built
    WHERE built.relnamespace::regnamespace::text = ANY(%(schemas)s) AND built.relname = required.name
)
ORDER BY required.name
