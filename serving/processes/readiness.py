"""Whether this worker may receive requests: the warehouse has answered once and the model has been looked up."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from lakehouse.background import BackgroundThread
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger

RETRY_S = 1.0


class Readiness:
    """Prepares the warehouse once, and queries no dependency after that.

    A worker therefore starts, and is alive, while the warehouse is unavailable. Once ready, it stays ready until it
    stops: without the warehouse it still serves forecasts from memory.
    """

    def __init__(self, prepare: Callable[[], None], others: Mapping[str, Callable[[], bool]], state: Path) -> None:
        self._prepare = prepare
        self._others = others
        self._is_prepared = False
        self._stopping = threading.Event()
        self.thread = BackgroundThread("readiness", self._run, self._stopping, state=state)

    def start(self) -> None:
        """Prepare the warehouse now, or in the background if it is unavailable.

        Raises:
            PermanentError: a setting is missing.
        """
        try:
            self._prepare()
            self._is_prepared = True
        except RetryableError as error:
            get_logger(__name__).warning("not ready: the warehouse is unavailable", error=str(error))
            self.thread.start()

    def stop(self) -> None:
        """Report from now on that this worker is stopping."""
        self._stopping.set()

    def missing(self) -> list[str]:
        """Return what this worker still waits for; nothing if it is ready."""
        states = {
            "warehouse": self._is_prepared,
            **{name: is_ready() for name, is_ready in self._others.items()},
            "stopping": not self._stopping.is_set(),
        }
        return [name for name, is_fine in states.items() if not is_fine]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._prepare()
            except RetryableError:
                self._stopping.wait(RETRY_S)
                continue
            self._is_prepared = True
            self.thread.report_success()
            self._stopping.wait()
