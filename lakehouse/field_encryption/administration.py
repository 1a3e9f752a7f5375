"""Show, rotate and destroy the data keys, for operators. Each step is one transaction, so an interrupt is harmless."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from lakehouse.errors import NotPossible, RetryableError
from lakehouse.field_encryption.data_keys import PACKAGE, wrapping_context
from lakehouse.field_encryption.key_file import KeyEncryption
from lakehouse.warehouse import connect, read_sql

BATCH_KEYS = 1_000
APPLICATION = "okr-keys"


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
        connect(dsn, application=APPLICATION) as connection,
        connection.cursor(row_factory=class_row(KeyCount)) as rows,
    ):
        return rows.execute(read_sql(PACKAGE, "key_counts").encode()).fetchall()


def rotate(dsn_owner: str, key_encryption: KeyEncryption) -> int:
    """Wrap all data keys with the current key-encryption key; return how many were wrapped again.

    No value changes, and processes that use the keys keep running. A repeat continues after an interruption.

    Raises:
        RetryableError: PostgreSQL is unavailable, or an earlier key-encryption key is missing.
    """
    current, rotated = key_encryption.current_id, 0
    try:
        while True:
            with connect(dsn_owner, application=APPLICATION) as connection:
                old = connection.execute(
                    read_sql(PACKAGE, "keys_to_rotate").encode(), {"current": current, "limit": BATCH_KEYS}
                ).fetchall()
                if not old:
                    return rotated
                values = {"current": current, **_wrapped_again(old, key_encryption)}
                rotated += connection.execute(read_sql(PACKAGE, "replace_wrapped_keys").encode(), values).rowcount
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed; repeat the command to continue: {error}") from error


def _wrapped_again(keys: Collection[tuple[Any, ...]], key_encryption: KeyEncryption) -> dict[str, list[Any]]:
    wrapped = []
    for key_id, owner, kek_id, old in keys:
        context = wrapping_context(key_id, owner)
        wrapped.append(key_encryption.wrap(key_encryption.unwrap(kek_id, old, context), context))
    return {"key_ids": [key_id for key_id, *_ in keys], "old": [old for *_, old in keys], "wrapped": wrapped}


def destroy(dsn_owner: str, owners: Collection[str]) -> int:
    """Destroy the data keys of owners, all or none; return how many were destroyed now.

    The table is then rewritten, so that its files do not contain the old rows any more. The write-ahead log and backups
    contain them until they expire.

    Raises:
        NotPossible: an owner has no key; nothing was changed.
        RetryableError: PostgreSQL is unavailable; repeat the command.
    """
    try:
        with connect(dsn_owner, application=APPLICATION) as connection:
            known = {
                owner: kek_id is not None
                for _, owner, kek_id, _ in connection.execute(
                    read_sql(PACKAGE, "keys_by_owner").encode(), {"owners": list(owners)}
                )
            }
            if unknown := sorted(set(owners) - known.keys()):
                raise NotPossible(
                    f"There is no key of {', '.join(unknown)}. Nothing was changed. Is the id right? A person has a "
                    "key as soon as a personal field of theirs has landed."
                )
            for statement in ("destroy_keys", "remove_address_indexes"):
                connection.execute(read_sql(PACKAGE, statement).encode(), {"owners": list(owners)})
        with connect(dsn_owner, application=APPLICATION, autocommit=True) as connection:
            connection.execute("VACUUM (FULL) app.data_key")
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed; repeat the command to be sure: {error}") from error
    return sum(known.values())
