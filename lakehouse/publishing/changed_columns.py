"""Marts whose columns changed, and marts that are gone: the one case in which a publication waits for readers.

The versions that readers may still want are copied into the new columns first, so that a statement which planned by
what was published before finds all of it in the new view, too. Then the view is replaced: an attempt holds up the
readers behind it for LOCK_ATTEMPT_MS at most, and is repeated until no query that began earlier uses the view.
"""

import random
import tempfile
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.publishing import locks
from lakehouse.publishing.grants import grants_on, restore_grants
from lakehouse.publishing.views import KEY, Columns, Mart, attach, attached, create_store, create_view, statement

if TYPE_CHECKING:
    from psycopg import Connection

LOCK_ATTEMPT_MS = 20
IN_MEMORY_BYTES = 64 << 20
BLOCK_BYTES = 1 << 20


def prepare(connection: "Connection[Any]", changed: Mapping[Mart, Columns], publication_id: int) -> None:
    """Make the new partitioned tables beside the old ones, with a copy of every version that is attached.

    A column that a version does not have, or has with a type that cannot be assigned to the new one, is null in it.
    """
    for mart, columns in changed.items():
        create_store(connection, mart, columns, suffix(publication_id))
    for mart, version in attached(connection, changed):
        copy = mart.partition(version, suffix(publication_id))
        select = sql.SQL(", ").join(_copied(connection, mart, version, column) for column in changed[mart])
        query = "SELECT {}, {}::bigint AS {} FROM {}"
        rows = statement(query, select, sql.Literal(version), sql.Identifier(KEY), mart.partition(version))
        connection.execute(statement("CREATE TABLE {} AS {} WITH NO DATA", copy, rows))
        _copy(connection, rows, copy)
        attach(connection, mart.store(suffix(publication_id)), copy, version)


def _copy(connection: "Connection[Any]", rows: sql.Composed, table: sql.Identifier) -> None:
    """Copy rows so that every snapshot sees them: a transaction that began before still reads its publication."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool, connection.cursor() as cursor:
        with cursor.copy(statement("COPY ({}) TO STDOUT (FORMAT binary)", rows)) as copied:
            for block in copied:
                spool.write(block)
        spool.seek(0)
        with cursor.copy(statement("COPY {} FROM STDIN (FORMAT binary, FREEZE)", table)) as into:
            while block := spool.read(BLOCK_BYTES):
                into.write(block)


def replace(
    connection: "Connection[Any]", changed: Mapping[Mart, Columns], gone: Collection[Mart], publication_id: int
) -> None:
    """Drop the views of marts that are gone, and replace those whose columns changed; rights stay.

    Raises:
        RetryableError: they were read all the time for `locks.READERS_S`.
        PermanentError: somebody's view depends on one of them.
    """
    deadline = time.monotonic() + locks.READERS_S
    while changed or gone:
        try:
            with connection.transaction():
                connection.execute(statement("SET LOCAL lock_timeout = {}", sql.Literal(LOCK_ATTEMPT_MS)))
                for mart in gone:
                    connection.execute(statement("DROP VIEW {}", mart.view))
                for mart, columns in changed.items():
                    _replace(connection, mart, columns, publication_id)
                connection.execute("SET LOCAL lock_timeout = DEFAULT")
        except psycopg.errors.DependentObjectsStillExist as error:
            raise PermanentError(
                f"The columns of a mart changed, and another view depends on it: {error.diag.message_detail} Drop that "
                "view, publish again, and create it again. What is published stays until then."
            ) from error
        except psycopg.errors.LockNotAvailable as error:
            if time.monotonic() > deadline:
                views = "|".join(f"{mart.schema}.{mart.name}" for mart in (*changed, *gone))
                who = locks.holders(connection, f"^({views})$")
                raise RetryableError(
                    f"The columns of a mart changed, and its view was in use for {locks.READERS_S:.0f} s without a "
                    f"pause{who}. Nobody is waited for longer, though an analyst's transaction may last 1,800 s. "
                    "What is published stays. Try again when it has ended."
                ) from error
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 -- jitter, not a secret
        else:
            return


def suffix(publication_id: int) -> str:
    """Return what ends the names of tables with the new columns, until they take the place of the old ones."""
    return f"__as_{publication_id}"


def _replace(connection: "Connection[Any]", mart: Mart, columns: Columns, publication_id: int) -> None:
    grants = grants_on(connection, mart)
    connection.execute(statement("DROP VIEW IF EXISTS {}", mart.view))
    rename = "ALTER TABLE {} RENAME TO {}"
    kept = sql.Identifier(f"{mart.name}__until_{publication_id}")
    connection.execute(statement(rename, mart.store(), kept))
    connection.execute(statement(rename, mart.store(suffix(publication_id)), sql.Identifier(mart.name)))
    create_view(connection, mart, columns)
    restore_grants(connection, mart, grants)


def _copied(connection: "Connection[Any]", mart: Mart, version: int, column: tuple[str, str]) -> sql.Composed:
    name, type_name = column
    fits = connection.execute(
        "SELECT format_type(atttypid, atttypmod) = %(type)s OR EXISTS (SELECT FROM pg_cast WHERE castsource = atttypid "
        "AND casttarget = to_regtype(%(type)s) AND castcontext IN ('a', 'i')) "
        "FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attname = %(name)s AND NOT attisdropped",
        {"type": type_name, "table": mart.partition(version).as_string(connection), "name": name},
    ).fetchone()
    value = sql.Identifier(name) if fits and fits[0] else sql.NULL
    return statement(f"{{}}::{type_name} AS {{}}", value, sql.Identifier(name))
