"""What goes wrong with a spool's file, in our own terms."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import OkrError, PermanentError, RetryableError


class SpoolFullError(RetryableError):
    """The spool takes no more: its bounds are reached, or its disk is full. Nothing was kept; the caller must know."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the operating system into ours.

    Raises:
        SpoolFullError: the disk is full or does not take what is written.
        RetryableError: another process holds the file for too long.
        PermanentError: the file is damaged, or may not be used.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(path, error) from error
    except OSError as error:
        raise _os_error(path, error) from error


def _ours(path: Path, error: sqlite3.Error) -> OkrError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return SpoolFullError(f"The disk of the spool {path} took nothing ({error}): is it full? Nothing was kept.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RetryableError(f"Another process has held the spool {path} for too long ({error}). Nothing was kept.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return PermanentError(
            f"The spool {path} is damaged ({error}). Move it away and keep it: a new one is made at the next event, "
            "and `sqlite3 <file> .recover` saves what can be read of the old one."
        )
    return PermanentError(f"The spool {path} cannot be used ({error}). May this user write there?")


def _os_error(path: Path, error: OSError) -> OkrError:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return SpoolFullError(f"The disk of the spool {path} is full ({error}). Nothing was kept.")
    return PermanentError(f"The spool {path} cannot be used ({error}). May this user write there?")
