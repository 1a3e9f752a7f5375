"""Read what a program writes to standard error while its standard output is used elsewhere."""

import threading
from collections.abc import Callable
from typing import IO


def collect(stream: IO[bytes] | None) -> Callable[[], str]:
    """Read a stream to its end in a thread, so that its writer never waits; return a function that returns the text."""
    lines: list[bytes] = []

    def read() -> None:
        if stream is not None:
            lines.extend(iter(stream.readline, b""))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def text() -> str:
        thread.join()
        return b"".join(lines).decode(errors="replace")

    return text
