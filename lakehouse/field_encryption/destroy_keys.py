"""Erase persons and other owners by destroying their data keys: what was encrypted with them stays unreadable."""

import time
from collections.abc import Collection

import psycopg

from lakehouse.connection_limits import Limits
from lakehouse.errors import NotPossible, RetryableError
from lakehouse.field_encryption.data_keys import OPERATOR_APPLICATION, PACKAGE
from lakehouse.retry import Backoff
from lakehouse.warehouse import connect, read_sql

# Rewriting the table waits for every reader, and every later reader waits behind it. So it gives up soon, and is
# repeated after a pause in which they continue. A backup reads the table for as long as it takes.
REWRITE_LIMITS = Limits(lock_s=1)
REWRITE_FOR_S = 60.0


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
        with connect(dsn_owner, application=OPERATOR_APPLICATION) as connection:
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
        with connect(dsn_owner, application=OPERATOR_APPLICATION, autocommit=True, limits=REWRITE_LIMITS) as connection:
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
