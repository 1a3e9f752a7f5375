-- Grain: one session of an analyst, with the limit that it exceeds, or null. Sessions cannot change these limits.
SELECT
    session.pid,
    session.usename AS role,
    CASE
        WHEN session.state = 'active' AND now() - session.query_start > make_interval(secs => %(statement_s)s)
            THEN 'one statement ran for more than ' || %(statement_s)s || ' s'
        WHEN
            session.state LIKE 'idle in transaction%%'
            AND now() - session.state_change > make_interval(secs => %(idle_s)s)
            THEN 'idle in a transaction for more than ' || %(idle_s)s || ' s'
        WHEN now() - session.xact_start > make_interval(secs => %(transaction_s)s)
            THEN 'one transaction lasted for more than ' || %(transaction_s)s || ' s'
    END AS reason,
    -- The private memory, without shared buffers. The server reads it, because it may run on another host than the guard.
    -- Null if the session has ended, or if the server has no /proc.
    substring(pg_read_file(format('/proc/%%s/status', session.pid), TRUE) FROM 'RssAnon:\s+(\d+) kB')::bigint
    * 1024 AS memory_bytes
FROM pg_stat_activity AS session
INNER JOIN pg_auth_members AS membership ON session.usesysid = membership.member
INNER JOIN pg_roles AS analysts ON membership.roleid = analysts.oid AND analysts.rolname = 'okr_analyst'
WHERE session.backend_type = 'client backend'
