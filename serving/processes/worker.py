"""One worker process of `okr serve`. The supervisor starts it and starts another if it dies."""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys

from starlette.types import ASGIApp

STARTUP_FAILURE = 3  # uvicorn's exit status of a worker that would fail again
SWITCH_INTERVAL_S = 0.0005  # a request waits at most this long for a thread that computes; Python's default is 0.005
_PR_SET_PDEATHSIG = 1


def create() -> ASGIApp:
    """Return the application of a worker, which ends when its supervisor does."""
    from lakehouse.errors import OkrError
    from lakehouse.logs import configure_logging, report_error
    from lakehouse.settings import load_settings
    from serving.app import create_asgi_app
    from serving.services import build_services

    _end_with_supervisor()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        settings = load_settings()
        configure_logging(as_json=settings.log_json)
        app = create_asgi_app(build_services(settings, ships_predictions=False))
    except OkrError as error:
        report_error(error)
        sys.exit(STARTUP_FAILURE)
    gc.freeze()  # what is loaded now stays, so that full collections, which stop all requests, need not traverse it
    return app


def _end_with_supervisor() -> None:
    """Let the kernel send SIGTERM when the supervisor dies. Otherwise the worker would keep the port from the next."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have died before the call. Its process id can be 1, in a container.
    supervisor = multiprocessing.parent_process()
    if supervisor is not None and os.getppid() != supervisor.pid:
        sys.exit(STARTUP_FAILURE)
