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
    END AS reason
FROM pg_stat_activity AS session
INNER JOIN pg_auth_members AS membership ON session.usesysid = membership.member
INNER JOIN pg_roles AS analysts ON membership.roleid = analysts.oid AND analysts.rolname = 'okr_analyst'
WHERE session.backend_type = 'client backend'
