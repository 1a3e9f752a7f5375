-- Grain: one member of the group, which is an analyst's login (even if its removal was interrupted) or another role.
SELECT
    login.rolname AS role,
    login.rolcanlogin AS can_log_in,
    login.rolconnlimit AS connections,
    expected.created_at,
    auth.rolpassword IS DISTINCT FROM expected.verifier AS is_password_changed,
    (
        SELECT array_agg(setting ORDER BY setting)
        FROM pg_db_role_setting AS set_for_role
        CROSS JOIN unnest(set_for_role.setconfig) AS setting
        WHERE set_for_role.setrole = login.oid AND set_for_role.setdatabase = 0
    ) AS settings,
    (
        SELECT array_agg(database.datname)
        FROM pg_db_role_setting AS set_for_role
        INNER JOIN pg_database AS database ON set_for_role.setdatabase = database.oid
        WHERE set_for_role.setrole = login.oid
    ) AS databases_with_settings,
    (SELECT count(*) FROM pg_stat_activity WHERE usename = login.rolname) AS sessions
FROM pg_roles AS login
INNER JOIN pg_authid AS auth ON login.oid = auth.oid
INNER JOIN pg_auth_members AS membership ON login.oid = membership.member
INNER JOIN pg_roles AS analysts ON membership.roleid = analysts.oid AND analysts.rolname = 'okr_analyst'
LEFT JOIN okr_admin.analyst_login AS expected ON login.rolname = expected.role
ORDER BY login.rolname
