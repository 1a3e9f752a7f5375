"""Log lines of threads that a test or a session fixture started, kept out of the test's own standard error.

The threads of a shared server outlive the test that made a request. If they wrote to `sys.stderr`, their lines would
appear in the capture of whichever test runs at that moment, or on the terminal between two tests.
"""

import io
import sys
import threading
from typing import TextIO

import structlog

BACKGROUND = io.StringIO()

# For servers that log through the standard library (uvicorn): the same stream.
LOGGING_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"background": {"class": "logging.StreamHandler", "stream": BACKGROUND}},
    "loggers": {"uvicorn": {"handlers": ["background"], "level": "INFO", "propagate": False}},
}


class BackgroundLog:
    """The lines that threads other than the main thread have logged since this object was created."""

    def __init__(self) -> None:
        self._start = len(BACKGROUND.getvalue())

    @property
    def text(self) -> str:
        """Return the lines so far."""
        return BACKGROUND.getvalue()[self._start :]


def configure_test_logs() -> None:
    """Send log lines of the main thread to the current `sys.stderr` and those of other threads to BACKGROUND."""
    structlog.reset_defaults()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(_stream()))


def _stream() -> TextIO:
    return sys.stderr if threading.current_thread() is threading.main_thread() else BACKGROUND
