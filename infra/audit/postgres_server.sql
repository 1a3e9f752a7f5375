-- Grain: one rule for connections over TCP, with its first database, or one login without a safe password.
SELECT
    'rule' AS kind,
    format('pg_hba.conf, line %s', line_number) AS name,
    type AS detail,
    coalesce(address, '') AS address,
    auth_method AS method
FROM pg_hba_file_rules
WHERE type LIKE 'host%' AND error IS NULL
UNION ALL
SELECT
    'login',
    rolname,
    CASE WHEN rolpassword LIKE 'md5%' THEN 'a password that is stored as MD5' ELSE 'no password' END,
    '',
    ''
FROM pg_authid
WHERE rolcanlogin AND coalesce(rolpassword, '') NOT LIKE 'SCRAM-SHA-256$%'
