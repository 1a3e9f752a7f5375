"""What a revision takes away from the previous release: columns, types, functions, privileges."""

import re
from collections.abc import Iterable

import psycopg

from tests.ops.migrations.example_rows import SCHEMAS

COLUMNS = """
SELECT format('%%s.%%s.%%s %%s', nspname, relname, attname, format_type(atttypid, atttypmod))
FROM pg_attribute
INNER JOIN pg_class ON attrelid = pg_class.oid
INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
WHERE nspname = ANY(%s) AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped
"""
FUNCTIONS = """
SELECT format('%%s.%%s(%%s) %%s', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid),
    pg_get_function_result(pg_proc.oid))
FROM pg_proc
INNER JOIN pg_namespace ON pronamespace = pg_namespace.oid
WHERE nspname = ANY(%s)
"""
PRIVILEGES = """
SELECT format('%%s %%s to %%s', privilege_type, object, grantee::regrole)
FROM (
    SELECT relnamespace AS namespace, format('%%s.%%s', nspname, relname) AS object, relacl AS acl
    FROM pg_class INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
    UNION ALL
    SELECT pronamespace, format('%%s.%%s', nspname, proname), proacl
    FROM pg_proc INNER JOIN pg_namespace ON pronamespace = pg_namespace.oid
    UNION ALL
    SELECT oid, nspname, nspacl FROM pg_namespace
) AS objects
CROSS JOIN LATERAL aclexplode(acl)
WHERE namespace::regnamespace::text = ANY(%s) AND grantee <> 0
"""
Connection = psycopg.Connection[tuple[object, ...]]


def offered(connection: Connection) -> set[str]:
    """Return everything that a release may rely on, one text each."""
    found = set[str]()
    for query in (COLUMNS, FUNCTIONS, PRIVILEGES):
        found |= {str(row[0]) for row in connection.execute(query, (SCHEMAS,)).fetchall()}
    return found


def still_used(removed: Iterable[str], source: str) -> list[str]:
    """Return the removed things whose name occurs in the source of a release."""
    words = set(re.findall(r"\w+", source))
    return sorted(thing for thing in removed if _name(thing) in words)


def _name(thing: str) -> str:
    """Return the last part of the name: of a column, function or object."""
    is_privilege = " to " in thing
    name = thing.split(" ")[1] if is_privilege else thing.partition(" ")[0].partition("(")[0]
    return name.rpartition(".")[2]
