"""Show, rotate and destroy the data keys, for operators. Each step is one transaction, so an interrupt is harmless."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from lakehouse.connection_limits import Limits
from lakehouse.errors import NotPossible, PermanentError, RetryableError
from lakehouse.field_encryption.data_keys import PACKAGE, wrapping_context
from lakehouse.field_encryption.key_file import KeyEncryption
from lakehouse.retry import Backoff
from lakehouse.warehouse import connect, read_sql

BATCH_KEYS = 1_000
APPLICATION = "okr-keys"
# Rewriting the table waits for every reader, and every later reader waits behind it. So it gives up soon, and is
# repeated after a pause in which they continue. A backup reads the table for as long as it takes.
REWRITE_LIMITS = Limits(lock_s=1)
REWRITE_FOR_S = 60.0


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


@dataclass(frozen=True)
class Rotation:
    """The number of keys that were wrapped again, and the damaged keys, which nothing can unwrap: id and owner."""

    rotated: int
    damaged: Sequence[tuple[UUID, str]]


def rotate(dsn_owner: str, key_encryption: KeyEncryption) -> Rotation:
    """Wrap all data keys with the current key-encryption key. Damaged keys stay as they are.

    No value changes, and processes that use the keys keep running. A repeat continues after an interruption.

    Raises:
        RetryableError: PostgreSQL is unavailable, or an earlier key-encryption key is missing.
    """
    current, rotated, damaged = key_encryption.current_id, 0, list[tuple[UUID, str]]()
    try:
        while True:
            with connect(dsn_owner, application=APPLICATION) as connection:
                wanted = {"current": current, "limit": BATCH_KEYS, "damaged": [key_id for key_id, _ in damaged]}
                old = connection.execute(read_sql(PACKAGE, "keys_to_rotate").encode(), wanted).fetchall()
                if not old:
                    return Rotation(rotated, damaged)
                values = {"current": current, **_wrapped_again(old, key_encryption, damaged)}
                rotated += connection.execute(read_sql(PACKAGE, "replace_wrapped_keys").encode(), values).rowcount
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed; repeat the command to continue: {error}") from error


def _wrapped_again(
    keys: Collection[tuple[Any, ...]], key_encryption: KeyEncryption, damaged: list[tuple[UUID, str]]
) -> dict[str, list[Any]]:
    """Return the healthy keys, wrapped again, and add the others to `damaged`."""
    found: dict[str, list[Any]] = {"key_ids": [], "old": [], "wrapped": []}
    for key_id, owner, kek_id, old in keys:
        context = wrapping_context(key_id, owner)
        try:
            secret = key_encryption.unwrap(kek_id, old, context)
        except PermanentError:
            damaged.append((key_id, owner))
            continue
        for name, value in zip(found, (key_id, old, key_encryption.wrap(secret, context)), strict=True):
            found[name].append(value)
    return found


def destroy(dsn_owner: str, owners: Collection[str]) -> int:
    """Destroy the data keys of owners, all or none; return how many were destroyed now.

    The table is then rewritten, so that its files do not contain the old rows any more. The write-ahead log and backups
    contain them until they expire.

    Raises:
        NotPossible: an owner has no key; nothing was changed.
        RetryableError: PostgreSQL is unavailable, or the table could not be rewritten because others read it for a
            long time; repeat the command.
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
        _rewrite(dsn_owner)
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed; repeat the command to be sure: {error}") from error
    return sum(known.values())


def _rewrite(dsn_owner: str) -> None:
    """Rewrite the table of keys as soon as nobody reads it."""
    backoff, deadline = Backoff(0.5, 4.0), time.monotonic() + REWRITE_FOR_S
    while True:
        with connect(dsn_owner, application=APPLICATION, autocommit=True, limits=REWRITE_LIMITS) as connection:
            try:
                connection.execute("VACUUM (FULL) app.data_key")
            except psycopg.errors.LockNotAvailable as error:
                if time.monotonic() > deadline:
                    raise RetryableError(
                        "The keys were destroyed, but are still in the files of the table app.data_key: another "
                        f"session has read it for {REWRITE_FOR_S:.0f} s, perhaps a backup. Repeat the command when it "
                        "has ended."
                    ) from error
            else:
                return
        time.sleep(backoff.pause())
