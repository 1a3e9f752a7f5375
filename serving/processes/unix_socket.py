"""The UNIX socket of `okr serve --uds`, through which a proxy on the same host connects."""

import errno
import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import PermanentError
from lakehouse.folder_lock import locked

LONGEST_PATH_BYTES = 107  # sun_path of Linux has 108 bytes, with a final zero
MODE = 0o660  # connecting to a socket needs the right to write to it
BACKLOG = 2_048  # uvicorn's


def listen_on(path: Path, group: str | None = None) -> socket.socket:
    """Return a socket that listens on `path`, to which only this user and the group may connect.

    A socket file that a killed process has left behind is replaced. `group` is a group of this user; without it, the
    file belongs to the group of this process. Call this before the process has threads, because it sets the umask.

    Raises:
        PermanentError: another process listens there, or the file cannot be created.
    """
    if len(os.fsencode(path)) > LONGEST_PATH_BYTES:
        raise PermanentError(
            f"{path}: the path of a socket may have at most {LONGEST_PATH_BYTES} bytes. Use a shorter one."
        )
    group_id = -1 if group is None else _id_of(group)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with locked(path.parent), _umask(0o777 & ~MODE):
            _remove_stale(path)
            listener.bind(os.fspath(path))
            listener.listen(BACKLOG)  # from now on, another process sees that the socket is in use
            if group is not None:  # the sandbox of a unit need not allow it otherwise
                os.chown(path, -1, group_id)
    except OSError as error:
        listener.close()
        raise PermanentError(f"The socket {path} cannot be created: {_explain(error, group)}") from error
    except PermanentError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the file of a socket on which no process listens."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise PermanentError(f"{path} exists and is not a socket. Remove it, or choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:  # the queue of connections is full: somebody listens
            pass
    raise PermanentError(f"Another process listens on {path}. Stop it, or choose another path.")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _id_of(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise PermanentError(f"There is no group {group!r}. Create it, or choose another --uds-group.") from error


def _explain(error: OSError, group: str | None) -> str:
    if error.errno == errno.EPERM and group is not None:
        return f"this user is not a member of the group {group}. Add it, or choose another --uds-group."
    return f"{error.strerror}. Expected a folder in which this user may create files."
