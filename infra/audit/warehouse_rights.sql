-- Grain: one privilege of a role, or of PUBLIC, on an object of this database that the role does not own. Left out are
-- objects of extensions, and what PUBLIC may do with PostgreSQL's own catalogue.
WITH object AS (
    SELECT
        'schema' AS kind,
        nspname::text AS namespace,
        nspname::text AS name,  -- as text, because the type name cuts longer names of the other objects off
        nspowner AS owner,
        nspacl AS acl
    FROM pg_namespace
    UNION ALL
    SELECT
        CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
        nspname,
        format('%s.%s', nspname, relname),
        relowner,
        relacl
    FROM pg_class
    INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT
        'column',
        nspname,
        format('%s.%s (%s)', nspname, relname, attname),
        relowner,
        attacl
    FROM pg_attribute
    INNER JOIN pg_class ON attrelid = pg_class.oid
    INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
    UNION ALL
    SELECT
        'function',
        nspname,
        format('%s.%s(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)),
        proowner,
        coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc
    INNER JOIN pg_namespace ON pronamespace = pg_namespace.oid
    -- The functions of the catalogue that analysts may not call are checked one by one (analyst_limits.py).
    WHERE
        nspname <> 'pg_catalog'
        AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
    UNION ALL
    SELECT
        'language',
        'pg_catalog',
        lanname,
        lanowner,
        coalesce(lanacl, acldefault('l', lanowner))
    FROM pg_language
    WHERE lanpltrusted
    UNION ALL
    SELECT
        'new ' || CASE defaclobjtype
            WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'n' THEN 'schemas'
            ELSE 'types'
        END,
        coalesce(nspname, ''),
        format('%s of %s', coalesce(nspname, 'any schema'), defaclrole::regrole),
        defaclrole,
        defaclacl
    FROM pg_default_acl
    LEFT JOIN pg_namespace ON defaclnamespace = pg_namespace.oid
)

SELECT DISTINCT
    object.kind,
    object.name,
    coalesce(grantee.rolname, 'PUBLIC') AS grantee,
    acl.privilege_type AS privilege
FROM object
CROSS JOIN LATERAL aclexplode(object.acl) AS acl
LEFT JOIN pg_roles AS grantee ON acl.grantee = grantee.oid
WHERE
    acl.grantee <> object.owner
    AND acl.grantee <> 10
    AND coalesce(grantee.rolname, '') NOT LIKE 'pg\_%'
    AND NOT (acl.grantee = 0 AND object.namespace IN ('pg_catalog', 'information_schema') AND object.kind <> 'language')
    AND object.namespace NOT LIKE 'pg\_toast%' AND object.namespace NOT LIKE 'pg\_temp%'
