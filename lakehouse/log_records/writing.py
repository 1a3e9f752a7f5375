"""Write rendered lines to standard error."""

import threading
from contextlib import suppress
from typing import Any, BinaryIO


class LineWriter:
    """The logger to which structlog passes rendered lines. Thread-safe.

    A line that cannot be written is lost: a full disk or a closed pipe must not stop a process that works.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def msg(self, line: bytes) -> None:
        """Write a line in one call, so that those of processes that share a pipe do not mix."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + b"\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg

    def __call__(self, *_: Any) -> "LineWriter":
        """Return this object, as the factory of loggers that structlog calls."""
        return self
