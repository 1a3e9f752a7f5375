"""Run the predictions of shadow arms in the background, so that they never delay or fail a request."""

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ingestion.contract_validation import EncodedEvent
from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.observability import metrics
from serving.prediction_log import PredictionLog

MAX_WAITING = 1_000  # requests; any more are dropped and counted
WAIT_S = 0.5

ShadowTask = Callable[[], Sequence[EncodedEvent]]


class ShadowScorer:
    """Runs tasks that return the events of shadow predictions, and records the events in the prediction log."""

    def __init__(self, log: PredictionLog, state: Path) -> None:
        self._prediction_log = log
        self._tasks: queue.Queue[ShadowTask] = queue.Queue(MAX_WAITING)
        self._stopping = threading.Event()
        self.thread = BackgroundThread("shadow", self._run, self._stopping, state=state)
        self._log = get_logger(__name__)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread after the current task. Waiting tasks are dropped."""
        self._stopping.set()
        self.thread.join(2.0)

    def submit(self, task: ShadowTask) -> None:
        """Queue a task, or drop it if too many are waiting."""
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            metrics.SHADOW_REQUESTS.labels("dropped").inc()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                task = self._tasks.get(timeout=WAIT_S)
            except queue.Empty:
                self.thread.report_success()
                continue
            try:
                self._prediction_log.append(task())
            except OkrError as error:
                metrics.SHADOW_REQUESTS.labels("failed").inc()
                self._log.warning("a shadow prediction failed", error=str(error))
            else:
                metrics.SHADOW_REQUESTS.labels("scored").inc()
            self.thread.report_success()
