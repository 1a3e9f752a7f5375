-- Grain: one other transaction that holds a lock on a table behind a view.
SELECT DISTINCT l.virtualtransaction
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
WHERE l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND c.relnamespace IN ('marts_store'::regnamespace, 'ml_store'::regnamespace)
    AND l.pid <> pg_backend_pid()
