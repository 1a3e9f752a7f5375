-- Grain: one other session that holds a lock on any of the tables, with the alphabetically first of these tables. The
-- start time is available only for sessions whose activity the role may see.
SELECT
    concat(
        a.usename, ' (pid ', a.pid, ', ' || nullif(a.application_name, ''),
        to_char(min(a.xact_start), '", since "HH24:MI:SS" UTC"'), ') holds ', min(n.nspname || '.' || c.relname)
    )
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE
    l.locktype = 'relation'
    AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.pid <> pg_backend_pid()
    AND c.relkind IN ('r', 'p', 'v')
    AND n.nspname || '.' || c.relname ~ %(tables)s
GROUP BY a.usename, a.pid, a.application_name
ORDER BY min(a.xact_start), count(*) DESC, a.pid
LIMIT 3
