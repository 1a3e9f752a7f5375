"""Count the data keys, for operators."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from lakehouse.field_encryption.data_keys import OPERATOR_APPLICATION, PACKAGE
from lakehouse.warehouse import connect, read_sql


@dataclass(frozen=True)
class KeyCount:
    """The number of data keys of one kind of owner (`user`, `key_result` ...) under one key-encryption key.

    `kek_id` is None for destroyed keys.
    """

    kind: str
    kek_id: str | None
    keys: int
    newest_at: datetime


def key_counts(dsn: str) -> list[KeyCount]:
    """Return the numbers of data keys.

    Raises:
        RetryableError: PostgreSQL is unavailable.
    """
    with (
        connect(dsn, application=OPERATOR_APPLICATION) as connection,
        connection.cursor(row_factory=class_row(KeyCount)) as rows,
    ):
        return rows.execute(read_sql(PACKAGE, "key_counts").encode()).fetchall()
