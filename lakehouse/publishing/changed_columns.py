"""Drop the views of removed marts, and replace the views of marts whose columns changed.

This is the only part of a publication that waits for readers before they see the new version.

First, the versions that readers may still use are copied into tables with the new columns, so that a statement planned
before the switch also finds its rows through the new view. Then the views are replaced. Each attempt blocks readers for
at most LOCK_ATTEMPT_MS. Attempts are repeated until no earlier query is using the views.
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
from lakehouse.publishing.restored_grants import grants_on, restore_grants
from lakehouse.publishing.views import KEY, Columns, Mart, attach, attached, create_store, create_view, statement

if TYPE_CHECKING:
    from psycopg import Connection

LOCK_ATTEMPT_MS = 20
IN_MEMORY_BYTES = 64 << 20
BLOCK_BYTES = 1 << 20


def prepare(connection: "Connection[Any]", changed: Mapping[Mart, Columns], publication_id: int) -> None:
    """Create the new partitioned tables next to the old ones, with a copy of every attached version.

    A column that a version lacks, or whose type cannot be assigned to the new type, is null in the copy.
    """
    for mart, columns in changed.items():
        create_store(connection, mart, columns, suffix(publication_id))
    for mart, version in attached(connection, changed):
        copy = mart.partition(version, suffix(publication_id))
        select = sql.SQL(", ").join(_copied_column(connection, mart, version, column) for column in changed[mart])
        query = "SELECT {}, {}::bigint AS {} FROM {}"
        rows = statement(query, select, sql.Literal(version), sql.Identifier(KEY), mart.partition(version))
        connection.execute(statement("CREATE TABLE {} AS {} WITH NO DATA", copy, rows))
        _copy(connection, rows, copy)
        attach(connection, mart.store(suffix(publication_id)), copy, version)


def _copy(connection: "Connection[Any]", rows: sql.Composed, table: sql.Identifier) -> None:
    """Copy rows so that every snapshot sees them: transactions that started earlier must be able to read them."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool, connection.cursor() as cursor:
        with cursor.copy(statement("COPY ({}) TO STDOUT (FORMAT binary)", rows)) as copied:
            for block in copied:
                spool.write(block)
        spool.seek(0)
        with cursor.copy(statement("COPY {} FROM STDIN (FORMAT binary, FREEZE)", table)) as into:
            while block := spool.read(BLOCK_BYTES):
                into.write(block)


def replace(
    connection: "Connection[Any]", changed: Mapping[Mart, Columns], removed: Collection[Mart], publication_id: int
) -> None:
    """Drop the views of removed marts and replace those whose columns changed, with their grants.

    Raises:
        RetryableError: readers used the views without a pause for `locks.READERS_S`.
        PermanentError: another view depends on one of them.
    """
    deadline = time.monotonic() + locks.READERS_S
    while changed or removed:
        try:
            with connection.transaction():
                connection.execute(statement("SET LOCAL lock_timeout = {}", sql.Literal(LOCK_ATTEMPT_MS)))
                for mart in removed:
                    connection.execute(statement("DROP VIEW {}", mart.view))
                for mart, columns in changed.items():
                    _replace(connection, mart, columns, publication_id)
                connection.execute("SET LOCAL lock_timeout = DEFAULT")
        except psycopg.errors.DependentObjectsStillExist as error:
            raise PermanentError(
                f"The columns of a mart changed, and another view depends on it: {error.diag.message_detail} Drop that "
                "view, publish again, and re-create it. Until then, the current publication is unchanged."
            ) from error
        except psycopg.errors.LockNotAvailable as error:
            if time.monotonic() > deadline:
                views = "|".join(f"{mart.schema}.{mart.name}" for mart in (*changed, *removed))
                who = locks.holders(connection, f"^({views})$")
                raise RetryableError(
                    f"The columns of a mart changed, and its view was in use for {locks.READERS_S:.0f} s without a "
                    f"pause{who}. Publishing does not wait longer, although an analyst's transaction can take 1,800 s. "
                    "The current publication is unchanged. Try again when that session has ended."
                ) from error
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 -- jitter, not a secret
        else:
            return


def suffix(publication_id: int) -> str:
    """Return the suffix of the names of tables with the new columns, until these tables replace the old ones."""
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


def _copied_column(connection: "Connection[Any]", mart: Mart, version: int, column: tuple[str, str]) -> sql.Composed:
    name, type_name = column
    fits = connection.execute(
        "SELECT format_type(atttypid, atttypmod) = %(type)s OR EXISTS (SELECT FROM pg_cast WHERE castsource = atttypid "
        "AND casttarget = to_regtype(%(type)s) AND castcontext IN ('a', 'i')) "
        "FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attname = %(name)s AND NOT attisdropped",
        {"type": type_name, "table": mart.partition(version).as_string(connection), "name": name},
    ).fetchone()
    value = sql.Identifier(name) if fits and fits[0] else sql.NULL
    return statement(f"{{}}::{type_name} AS {{}}", value, sql.Identifier(name))
