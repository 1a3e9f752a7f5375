"""Tell long-running responses that the server is shutting down.

uvicorn waits for open responses before it stops the application, so the application learns of the shutdown too late to
end them.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_shutdown_signal(callback: Callable[[], None]) -> None:
    """Call a function when the process is asked to end, before the handlers that are installed now.

    Nothing happens outside the main thread, where no signal arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        signal.signal(number, _with(callback, signal.getsignal(number)))


def _with(callback: Callable[[], None], before: Any) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        callback()
        if callable(before):
            before(number, frame)

    return handle
