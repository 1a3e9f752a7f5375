-- Grain: one right in the PostgreSQL cluster: an attribute of a role, a membership, or a privilege on a database.
SELECT
    'role' AS kind,
    rolname AS name,
    '' AS grantee,
    attribute.name AS privilege
FROM pg_roles
CROSS JOIN LATERAL (
    VALUES
    ('LOGIN', rolcanlogin),
    ('SUPERUSER', rolsuper),
    ('CREATEROLE', rolcreaterole),
    ('CREATEDB', rolcreatedb),
    ('REPLICATION', rolreplication),
    ('BYPASSRLS', rolbypassrls)
) AS attribute (name, has_it)
WHERE attribute.has_it AND oid <> 10  -- 10 is the superuser that initdb creates, whatever its name is
UNION ALL
SELECT
    'member',
    granted.rolname,
    member.rolname,
    CASE WHEN membership.admin_option THEN 'ADMIN' ELSE 'MEMBER' END
FROM pg_auth_members AS membership
INNER JOIN pg_roles AS granted ON membership.roleid = granted.oid
INNER JOIN pg_roles AS member ON membership.member = member.oid
WHERE member.rolname NOT LIKE 'pg\_%'
UNION ALL
SELECT
    'database',
    datname,
    coalesce(grantee.rolname, 'PUBLIC'),
    acl.privilege_type
FROM pg_database
CROSS JOIN LATERAL aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
LEFT JOIN pg_roles AS grantee ON acl.grantee = grantee.oid
WHERE datallowconn AND acl.grantee <> datdba AND acl.grantee <> 10
