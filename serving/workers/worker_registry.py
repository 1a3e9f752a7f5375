"""Register this process in `serving.worker` and send its heartbeat, so that others know which workers are live."""

import os
import socket
import threading
import time
import uuid
from pathlib import Path

from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.workers"
HEARTBEAT_S = 2.0
LIVE_S = 7.0  # three missed heartbeats
FORGOTTEN_AFTER_S = 3600.0


class WorkerRegistry:
    """The registration of this process. `start` chooses a new `worker_id`, so processes forked before it differ."""

    def __init__(self, warehouse: Warehouse, state: Path, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.worker_id = uuid.uuid4()
        self._warehouse = warehouse
        self._heartbeat_s = heartbeat_s
        self._cleaned_at = float("-inf")
        self._stopping = threading.Event()
        self.thread = BackgroundThread("worker-heartbeat", self._run, self._stopping, state=state)
        self._log = get_logger(__name__)

    def start(self) -> None:
        """Start the heartbeat. The first one registers the worker."""
        self.worker_id = uuid.uuid4()
        self.thread.start()

    def stop(self) -> None:
        """Stop the heartbeat and delete the registration."""
        self._stopping.set()
        self.thread.join(2 * HEARTBEAT_S)
        try:
            with self._warehouse.connection() as connection:
                Reader(connection).execute(PACKAGE, "delete_worker", {"worker_id": self.worker_id})
        except OkrError as error:
            self._log.warning("the worker's registration expires instead of being deleted", error=str(error))

    def heartbeat(self) -> None:
        """Register this worker or renew its heartbeat.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        values = {"worker_id": self.worker_id, "host": socket.gethostname(), "process_id": os.getpid()}
        with self._warehouse.connection() as connection:
            Reader(connection).execute(PACKAGE, "heartbeat", values)

    def live(self) -> list[Row]:
        """Return the live workers, oldest first.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        with self._warehouse.connection() as connection:
            return Reader(connection).rows(PACKAGE, "live_workers", {"live_s": LIVE_S})

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.heartbeat()
                self._delete_dead_workers()
            except OkrError as error:
                self._log.warning("no heartbeat: others may count this worker as dead", error=str(error))
            else:
                self.thread.report_success()
            self._stopping.wait(self._heartbeat_s)

    def _delete_dead_workers(self) -> None:
        if time.monotonic() - self._cleaned_at > FORGOTTEN_AFTER_S:
            with self._warehouse.connection() as connection:
                Reader(connection).execute(PACKAGE, "delete_dead_workers", {"forgotten_after_s": FORGOTTEN_AFTER_S})
            self._cleaned_at = time.monotonic()
