-- Grain: one privilege of a role, or of PUBLIC, on an object of this database that the role does not own, or one owner: of
-- a schema, or of an object that another role owns than the schema. Left out are privileges that initdb or an extension
-- granted (pg_init_privs), and functions of PostgreSQL that only the platform's roles may call
-- (infra/analysts/restricted_functions.sql, which must have run in this session).
WITH object AS (
    SELECT
        'schema' AS kind,
        nspname::text AS namespace,
        nspname::text AS name,  -- as text, because the type name cuts longer names of the other objects off
        nspowner AS owner,
        nspowner AS schema_owner,
        nspacl AS acl,
        'pg_namespace'::regclass AS catalogue,
        pg_namespace.oid AS id,
        0 AS part
    FROM pg_namespace
    UNION ALL
    SELECT
        CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
        nspname,
        format('%s.%s', nspname, relname),
        relowner,
        nspowner,
        relacl,
        'pg_class'::regclass,
        pg_class.oid,
        0
    FROM pg_class
    INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT
        'column',
        nspname,
        format('%s.%s (%s)', nspname, relname, attname),
        relowner,
        nspowner,
        attacl,
        'pg_class'::regclass,
        pg_class.oid,
        attnum
    FROM pg_attribute
    INNER JOIN pg_class ON attrelid = pg_class.oid
    INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
    UNION ALL
    SELECT
        'function',
        nspname,
        format('%s.%s(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)),
        proowner,
        nspowner,
        coalesce(proacl, acldefault('f', proowner)),
        'pg_proc'::regclass,
        pg_proc.oid,
        0
    FROM pg_proc
    INNER JOIN pg_namespace ON pronamespace = pg_namespace.oid
    WHERE NOT EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
    )
    UNION ALL
    SELECT
        'language',
        'pg_catalog',
        lanname,
        lanowner,
        10,
        coalesce(lanacl, acldefault('l', lanowner)),
        'pg_language'::regclass,
        pg_language.oid,
        0
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
        defaclrole,
        defaclacl,
        'pg_default_acl'::regclass,
        pg_default_acl.oid,
        0
    FROM pg_default_acl
    LEFT JOIN pg_namespace ON defaclnamespace = pg_namespace.oid
),

-- What initdb left: its recorded privileges, or the default ones where it changed none. It does not record those of
-- information_schema.
initial AS (
    SELECT
        object.catalogue,
        object.id,
        object.part,
        acl.grantee,
        acl.privilege_type
    FROM object
    LEFT JOIN pg_init_privs
        ON object.catalogue = classoid AND object.id = objoid AND object.part = objsubid
    CROSS JOIN LATERAL aclexplode(
        coalesce(initprivs, CASE
            WHEN object.kind = 'function' AND object.namespace IN ('pg_catalog', 'information_schema')
                THEN acldefault('f', object.owner)
            WHEN object.kind = 'schema' AND object.namespace = 'information_schema'
                THEN ARRAY[makeaclitem(0, object.owner, 'USAGE', FALSE)]
            WHEN object.kind = 'table' AND object.namespace = 'information_schema'
                THEN ARRAY[makeaclitem(0, object.owner, 'SELECT', FALSE)]
        END)
    ) AS acl
    WHERE object.kind <> 'language'
)

SELECT DISTINCT
    object.kind,
    object.name,
    coalesce(grantee.rolname, 'PUBLIC') AS grantee,
    acl.privilege_type AS privilege
FROM object
CROSS JOIN LATERAL aclexplode(object.acl) AS acl
LEFT JOIN pg_roles AS grantee ON acl.grantee = grantee.oid
LEFT JOIN initial
    ON
        object.catalogue = initial.catalogue AND object.id = initial.id AND object.part = initial.part
        AND acl.grantee = initial.grantee AND acl.privilege_type = initial.privilege_type
LEFT JOIN restricted_function
    ON object.kind = 'function' AND object.id = restricted_function.signature AND grantee.rolname = 'okr_service'
WHERE
    acl.grantee <> object.owner
    AND acl.grantee <> 10
    AND initial.grantee IS NULL
    AND restricted_function.signature IS NULL
    AND coalesce(grantee.rolname, '') NOT LIKE 'pg\_%'
    AND object.namespace NOT LIKE 'pg\_toast%' AND object.namespace NOT LIKE 'pg\_temp%'
UNION ALL
SELECT
    'owner',
    format('%s %s', object.kind, object.name),
    CASE object.owner WHEN 10 THEN 'the first superuser' ELSE object.owner::regrole::text END,
    'OWNER'
FROM object
WHERE
    object.kind IN ('schema', 'table', 'sequence', 'function')
    AND (object.kind = 'schema' OR object.owner <> object.schema_owner)
    AND NOT (object.owner = 10 AND object.namespace IN ('pg_catalog', 'information_schema'))
    AND object.namespace NOT LIKE 'pg\_toast%' AND object.namespace NOT LIKE 'pg\_temp%'
