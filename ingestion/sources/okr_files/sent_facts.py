"""Count the revisions of each imported fact, so that reverting a value has an effect.

The id of an imported event is derived from its content, so importing the same fact twice yields one event. If a value
is changed and later changed back, the third event would therefore have the same id as the first one and would be
ignored as a duplicate. To prevent this, the revision number of the fact is part of the id. Revisions are stored in a
file in the state folder. If the file is lost, facts get the same ids as in a first import.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import read_sql

PACKAGE = "ingestion.sources.okr_files"
FILE_NAME = "imported.sqlite"
BUSY_SECONDS = 5.0


class SentFacts:
    """The revisions of facts during one import. Changes are committed when the import succeeds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._select, self._upsert = read_sql(PACKAGE, "select_sent_fact"), read_sql(PACKAGE, "upsert_sent_fact")

    def revision(self, data: msgspec.Struct, at: datetime) -> int:
        """Return how often imports, including this one, have changed a fact."""
        fact = _digest(type(data).__name__, str(getattr(data, data.__struct_fields__[0])), at.isoformat())
        content = _digest(msgspec.json.encode(data).decode())
        found = self._connection.execute(self._select, {"fact": fact}).fetchone()
        if found is not None and found[0] == content:
            return int(found[1])
        revision = 0 if found is None else int(found[1]) + 1
        self._connection.execute(self._upsert, {"fact": fact, "content": content, "revision": revision})
        return revision


@contextmanager
def sent_facts(state: Path) -> Iterator[SentFacts]:
    """Open the file for one import. Changes are committed only if the import succeeds (events are sent or spooled).

    Raises:
        RetryableError: another import of this state folder is running.
        PermanentError: the file cannot be used.
    """
    path = state / FILE_NAME
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    try:
        with _explained(path):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(read_sql(PACKAGE, "create_sent_fact"))
        yield SentFacts(connection)
        with _explained(path):
            connection.execute("COMMIT")
    finally:
        connection.close()  # rolls back uncommitted changes


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: sqlite3.Error) -> PermanentError | RetryableError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RetryableError(f"Another import is using {path}. Wait until it has finished, then import again.")
    return PermanentError(
        f"The record of earlier imports, {path}, cannot be used ({error}). Check that this user may write to it. If it "
        "is damaged, move it away; the next import creates a new one."
    )


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode()).digest()[:16]
