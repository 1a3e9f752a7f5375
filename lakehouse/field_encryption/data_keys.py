"""The keys of persons: in app.data_key, wrapped by a key-encryption key, and unwrapped in the memory of processes."""

import secrets
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.field_encryption.key_file import KEY_BYTES, KeyEncryption, unknown_key
from lakehouse.logs import get_logger
from lakehouse.warehouse import read_sql

PACKAGE = "lakehouse.field_encryption"
OPERATOR_APPLICATION = "okr-keys"  # PostgreSQL's application_name of the `okr keys` commands
MAX_CACHED_KEYS = 100_000
MAX_AGE_S = 600.0  # with the first event after this time, a process forgets destroyed keys
log = get_logger(__name__)

Connect = Callable[[], AbstractContextManager[psycopg.Connection[Any]]]


@dataclass(frozen=True)
class DataKey:
    """The key of one owner: a person (`user:<id>`) or another owner. `secret` is None once it was destroyed."""

    key_id: UUID
    owner: str
    secret: bytes | None

    @cached_property
    def prefix(self) -> bytes:
        """Return the id as each encrypted value starts with it."""
        return self.key_id.bytes

    @cached_property
    def cipher(self) -> AESGCMSIV | None:
        """Return the cipher, or None if the key was destroyed."""
        return None if self.secret is None else AESGCMSIV(self.secret)


class DataKeys:
    """Reads and creates data keys. A new key is committed before it is returned, so no value can outlive its key."""

    def __init__(self, connect: Connect, key_encryption: KeyEncryption) -> None:
        """Receive a function that opens a connection as a context manager, which commits at its end."""
        self._connect = connect
        self._key_encryption = key_encryption
        self._cached: dict[str, DataKey] = {}
        self._emptied_at = time.monotonic()

    def check(self) -> None:
        """Check that every data key can be unwrapped.

        Raises:
            PermanentError: a key-encryption key is missing.
            RetryableError: PostgreSQL is unavailable.
        """
        for (kek_id,) in self._run("wrapping_keys"):
            if kek_id not in self._key_encryption.ids:
                raise PermanentError(unknown_key(kek_id, self._key_encryption))

    def of_owners(self, owners: Collection[str], *, uncached: Collection[str] = ()) -> dict[str, DataKey]:
        """Return the keys of the owners. Keys that do not exist are created, even if other processes do the same.

        The keys stay in memory until a call after MAX_AGE_S seconds. Those of `uncached` are read again. A destroyed
        key is not created again.

        Raises:
            RetryableError: PostgreSQL is unavailable, or a key was wrapped with a key-encryption key that this process
                does not have.
            PermanentError: a key is damaged.
        """
        if time.monotonic() - self._emptied_at > MAX_AGE_S or len(self._cached) > MAX_CACHED_KEYS:
            self._cached, self._emptied_at = {}, time.monotonic()
        cached = self._cached  # other threads may empty the cache meanwhile
        keys = {owner: cached[owner] for owner in owners if owner in cached and owner not in uncached}
        if missing := [owner for owner in owners if owner not in keys]:
            found = self._read(missing)
            if absent := sorted(set(missing) - found.keys()):
                self._create(absent)
                found |= self._read(absent)  # another process may have created some of them
            keys |= found
            cached.update(found)
        return keys

    def by_ids(self, key_ids: Iterable[UUID]) -> dict[UUID, DataKey]:
        """Return the existing keys of these ids. They are always read from the table, so a destroyed key is noticed.

        A damaged key is left out, so that all other values can be read.

        Raises:
            RetryableError: as in `of_owners`.
        """
        wanted, found = sorted(set(key_ids)), {}
        for row in self._run("keys_by_id", key_ids=wanted) if wanted else ():
            try:
                key = self._unwrapped(*row)
            except PermanentError as error:
                log.error(str(error))  # noqa: TRY400 -- the line says it all
            else:
                found[key.key_id] = key
        return found

    def _read(self, owners: Collection[str]) -> dict[str, DataKey]:
        found = [self._unwrapped(*row) for row in self._run("keys_by_owner", owners=list(owners))]
        return {key.owner: key for key in found}

    def _unwrapped(self, key_id: UUID, owner: str, kek_id: str | None, wrapped: bytes | None) -> DataKey:
        if kek_id is None or wrapped is None:
            return DataKey(key_id, owner, None)
        try:
            return DataKey(key_id, owner, self._key_encryption.unwrap(kek_id, wrapped, wrapping_context(key_id, owner)))
        except PermanentError as error:
            raise PermanentError(f"The data key {key_id} of {owner} is damaged: {error}") from error

    def _create(self, owners: Collection[str]) -> None:
        key_ids = [uuid4() for _ in owners]
        wrapped = [
            self._key_encryption.wrap(secrets.token_bytes(KEY_BYTES), wrapping_context(key_id, owner))
            for key_id, owner in zip(key_ids, owners, strict=True)
        ]
        self._run(
            "create_keys",
            key_ids=key_ids, owners=list(owners), wrapped=wrapped, kek_id=self._key_encryption.current_id,
        )  # fmt: skip

    def _run(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._connect() as connection:
                cursor = connection.execute(read_sql(PACKAGE, query).encode(), values)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise RetryableError(
                f"The data keys of field encryption (app.data_key) cannot be read or created: "
                f"{' '.join(str(error).split())}. Nothing was written without them; try again."
            ) from error


def wrapping_context(key_id: UUID, owner: str) -> bytes:
    """Return what a wrapped data key is bound to, so that the keys of two owners cannot be exchanged."""
    return b"%s\0%s" % (str(key_id).encode(), owner.encode())
