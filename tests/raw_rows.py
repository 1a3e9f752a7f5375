"""Rows of raw, copied into it as the loader does, for tests that do not run landing and loading."""

from collections.abc import Iterable

from psycopg import sql

from lakehouse.lake import EVENT_COLUMNS
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

COLUMNS = tuple(name for name in EVENT_COLUMNS if name != "extensions")


def copy_into_raw(settings: Settings, topic: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Append rows to raw.<topic>, in the order of COLUMNS."""
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier("raw", topic), names)
    with (
        connect(settings.require("dsn_loader")) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for row in rows:
            copy.write_row(row)
