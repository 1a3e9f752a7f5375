"""At least one row in every table of our schemas, at any revision. A new table needs no code here."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

SCHEMAS = ["api", "app", "auth", "ops", "publishing", "raw", "serving"]
VALUES_BY_TYPE: Mapping[str, str] = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "text": "a",
    "name": "a",
    "bytea": "\\x01",
    "jsonb": "{}",
    "boolean": "false",
    "integer": "1",
    "smallint": "1",
    "bigint": "1",
    "numeric": "1",
    "double precision": "0.5",
    "date": "2026-01-05",
    "timestamp with time zone": "2026-01-05T12:00:00Z",
}
# Columns whose check allows only certain values. None: leave it null.
VALUES_BY_COLUMN: Mapping[str, str | None] = {
    "api.check_in_request.operation": "record",
    "app.data_key.destroyed_at": None,
    "auth.account.role": "lead",
    "auth.audit_event.outcome": "success",
    "auth.revocation.kind": "account",
    "ops.event_review.decision": "release",
    "serving.experiment.unit": "team",
    "serving.experiment.arms": "[]",
    "serving.experiment.started_at": None,
    "serving.experiment.stopped_at": None,
    "serving.worker_model.versions": "[]",
}
TABLES = """
SELECT nspname, relname
FROM pg_class
INNER JOIN pg_namespace ON relnamespace = pg_namespace.oid
WHERE nspname = ANY(%s) AND relkind = 'r' AND NOT relispartition AND relnatts > 0
ORDER BY 1, 2
"""
COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE
    attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
    AND NOT atthasdef
ORDER BY attnum
"""
Connection = psycopg.Connection[tuple[object, ...]]


def fill_empty_tables(superuser: Connection) -> None:
    """Insert a row into every empty table. Tables that refer to others are filled after these."""
    tables = [(str(schema), str(name)) for schema, name in superuser.execute(TABLES, (SCHEMAS,)).fetchall()]
    waiting = [table for table in tables if _is_empty(superuser, *table)]
    while waiting:
        problems = {table: _insert(superuser, *table) for table in waiting}
        left = [table for table, problem in problems.items() if problem]
        assert len(left) < len(waiting), f"no example row, extend VALUES_BY_COLUMN: {problems}"
        waiting = left


def _is_empty(connection: Connection, schema: str, table: str) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table))
    return connection.execute(query).fetchone() == (False,)


def _insert(connection: Connection, schema: str, table: str) -> str:
    """Insert a row, and return why that was not possible."""
    name = f"{schema}.{table}"
    columns = [(str(column), str(kind)) for column, kind in connection.execute(COLUMNS, (name,)).fetchall()]
    values = {column: _value(f"{name}.{column}", kind) for column, kind in columns}
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Literal(value) for value in values.values()),
    )
    try:
        with connection.transaction():
            connection.execute(statement)
    except psycopg.IntegrityError as error:
        return str(error)
    return ""


def _value(column: str, kind: str) -> str | None:
    if column in VALUES_BY_COLUMN:
        return VALUES_BY_COLUMN[column]
    if kind.endswith("[]"):
        return "{}"
    return VALUES_BY_TYPE[kind.partition("(")[0]]
