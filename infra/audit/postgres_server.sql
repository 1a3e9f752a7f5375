-- Grain: one rule of pg_hba.conf, one login without a safe password, or one setting of a database or a role.
SELECT
    'rule' AS kind,
    format('pg_hba.conf, line %s', line_number) AS name,
    type AS detail,
    coalesce(address, 'the UNIX socket') AS address,
    auth_method AS method
FROM pg_hba_file_rules
WHERE error IS NULL
UNION ALL
SELECT
    'login',
    rolname,
    CASE WHEN rolpassword LIKE 'md5%' THEN 'a password that is stored as MD5' ELSE 'no password' END,
    '',
    ''
FROM pg_authid
WHERE rolcanlogin AND coalesce(rolpassword, '') NOT LIKE 'SCRAM-SHA-256$%'
UNION ALL
SELECT
    'setting',
    format(
        'PostgreSQL''s %s%s%s',
        split_part(configured, '=', 1), ' of database ' || datname, ' of role ' || rolname
    ),
    split_part(configured, '=', 1),
    substr(configured, strpos(configured, '=') + 1),
    ''
FROM pg_db_role_setting
CROSS JOIN LATERAL unnest(setconfig) AS configured
LEFT JOIN pg_database ON setdatabase = pg_database.oid
LEFT JOIN pg_roles ON setrole = pg_roles.oid
