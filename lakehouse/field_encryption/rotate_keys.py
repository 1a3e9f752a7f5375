"""Wrap data keys with another key-encryption key. Each batch is one transaction, so an interruption is harmless."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.field_encryption.data_keys import OPERATOR_APPLICATION, PACKAGE, wrapping_context
from lakehouse.field_encryption.key_file import KeyEncryption
from lakehouse.warehouse import connect, read_sql

BATCH_KEYS = 1_000


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
            with connect(dsn_owner, application=OPERATOR_APPLICATION) as connection:
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
