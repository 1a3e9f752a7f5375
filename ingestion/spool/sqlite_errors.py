"""Convert errors of a spool's file into typed errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import OkrError, PermanentError, RetryableError


class SpoolFullError(RetryableError):
    """The spool has reached a limit, or its disk is full. Nothing was stored. Callers must not ignore this error."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Convert errors of SQLite and the operating system into typed errors.

    Raises:
        SpoolFullError: the disk is full or writing fails.
        RetryableError: another process has kept the file locked for too long.
        PermanentError: the file is damaged or not accessible.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _typed_error(path, error) from error
    except OSError as error:
        raise _os_error(path, error) from error


def _typed_error(path: Path, error: sqlite3.Error) -> OkrError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return SpoolFullError(f"Writing to the spool {path} failed ({error}). Is the disk full? Nothing was stored.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RetryableError(
            f"Another process has locked the spool {path} for too long ({error}). Nothing was stored; try again."
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return PermanentError(
            f"The spool {path} is damaged ({error}). Move it away and keep it: the next event creates a new one, and "
            "`sqlite3 <file> .recover` extracts the readable part of the old one."
        )
    return PermanentError(f"The spool {path} cannot be used ({error}). Check that this user may write there.")


def _os_error(path: Path, error: OSError) -> OkrError:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return SpoolFullError(f"The disk of the spool {path} is full ({error}). Nothing was stored. Free disk space.")
    return PermanentError(f"The spool {path} cannot be used ({error}). Check that this user may write there.")
