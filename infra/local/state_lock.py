"""A lock that allows only one `okr up`, `down` or `clean` at a time on a state folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from infra.local.stack import explain_os_error
from lakehouse.errors import PermanentError


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the folder's lock; the operating system releases it when this process ends.

    Raises:
        PermanentError: another command holds the lock, or the folder is not writable.
    """
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(state / "stack.lock", timeout=0, fallback_to_soft=False)
        lock.acquire()
    except Timeout as error:
        raise PermanentError(
            f"Another `okr up`, `okr down` or `okr clean` is running on {state}. Wait until it ends, or end it."
        ) from error
    except OSError as error:
        raise PermanentError(explain_os_error(state, error)) from error
    try:
        yield
    finally:
        lock.release()
