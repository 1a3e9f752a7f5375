"""Write this service's events to a spool on disk, from which a background thread sends them to Kafka.

Requests therefore do not depend on Kafka, and accepted events survive a restart of the service or the broker. Check-ins
and other writes of users have one sender. Request latencies have another, with its own file, limits and thread, so
latencies never delay users' writes or cause their rejection. (Predictions have a separate log:
`serving.prediction_log`.)

`post`, used for latencies, only writes to the spool. `deliver` and `deliver_all`, used for users' writes, also wait
briefly for the broker's acknowledgement.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Drainer, Spool, SpoolState
from ingestion.spool.store import EventStatus
from lakehouse.background import BackgroundThread
from lakehouse.errors import ContractViolation, OkrError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.retry import Backoff
from lakehouse.settings import Settings
from serving.errors import NotPersisted
from serving.observability import metrics

SOURCE = "okr-api"
PASS_S = 5.0  # time limit of one attempt to send the waiting events
DELIVER_S = 5.0
MOST_DELIVERING = 20  # requests that wait for the broker: half of the worker threads, even while it is frozen
IDLE_S = 2.0  # interval of checks for events that another API process has left in the spool
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


@dataclass
class SpoolSender:
    """Writes events to the spool and sends them to Kafka. Start it before use, and stop it at the end."""

    kafka: KafkaConnection
    spool: Spool
    counts: Counter[str] = field(default_factory=Counter)
    """Events since the process started: posted, sent and not_persisted (reported to the caller as an error)."""
    problem: str | None = None
    """Why the last attempt to send failed; None if it succeeded."""

    def __post_init__(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._settled = threading.Condition()
        self._delivering = threading.BoundedSemaphore(MOST_DELIVERING)
        self.thread = BackgroundThread(
            f"spool-sender-{self.spool.source}", self._run, self._stopping, state=self.state_folder
        )
        self._log = get_logger(__name__)

    @classmethod
    def from_settings(cls, settings: Settings, source: str = SOURCE) -> "SpoolSender":
        """Return the sender for users' writes, or for another source of this API, without starting it.

        Raises:
            PermanentError: a setting is missing.
        """
        return cls(KafkaConnection.of(settings), Spool.of(settings, source))

    @property
    def state_folder(self) -> Path:
        """The state folder, which contains the folder of the spools."""
        return self.spool.path.parent.parent

    @property
    def is_sending(self) -> bool:
        """Whether the sending thread is alive. If it is not, events are not sent."""
        return self.thread.is_alive

    def state(self) -> SpoolState:
        """Return the state of the spool, such as the numbers of waiting and rejected events.

        Raises:
            PermanentError: the spool cannot be read.
        """
        return self.spool.state()

    def start(self) -> None:
        """Start the sending thread. It first sends the events that earlier processes left in the spool."""
        self.thread.start()

    def stop(self) -> None:
        """Try once to send the waiting events, then stop. Unsent events stay in the spool until the next start."""
        self._stopping.set()
        self._wake.set()
        self.thread.join(2 * PASS_S)
        if waiting := self.state().waiting:
            self._log.warning(
                "events stay in the spool for the next start", waiting=waiting, spool=str(self.spool.path)
            )

    def post(self, events: Sequence[EncodedEvent]) -> list[int]:
        """Write all events to the spool, or none, and return their positions. They are sent in the background.

        Raises:
            NotPersisted: nothing was written; the log says why.
            ContractViolation: the broker would never accept one of the events.
        """
        if not events:
            return []
        try:
            positions = self.spool.append(events)
        except OkrError as error:
            self.counts["not_persisted"] += len(events)
            metrics.EVENTS_NOT_PERSISTED.labels(self.spool.source).inc(len(events))
            self._log.error("events could not be written to the spool", number=len(events), error=str(error))
            if isinstance(error, ContractViolation):
                raise
            raise NotPersisted(
                "Too many events are waiting for the broker, or the disk is not writable; /health says which."
            ) from error
        self.counts["posted"] += len(events)
        metrics.EVENTS_POSTED.labels(self.spool.source).inc(len(events))
        self._wake.set()
        return positions

    def deliver(self, event: EncodedEvent) -> bool:
        """Write an event to the spool, wait briefly, and return whether the broker has acknowledged the event.

        Raises:
            NotPersisted: the event was not written.
            ContractViolation: the broker rejected it permanently.
        """
        return self.deliver_all([event])

    def deliver_all(self, events: Sequence[EncodedEvent]) -> bool:
        """Write all events to the spool, or none, wait briefly, and return whether the broker has acknowledged all.

        Only MOST_DELIVERING callers wait; the others are told that their events are not acknowledged yet.

        Raises:
            NotPersisted: the events were not written.
            ContractViolation: the broker rejected one permanently.
        """
        positions = self.post(events)
        if self._delivering.acquire(blocking=False):
            try:
                self._wait_for(positions[-1])  # events are sent in order, so the last one is sent last
            finally:
                self._delivering.release()
        statuses = {self._status_of(position) for position in positions}
        if "rejected" in statuses:
            raise ContractViolation(
                "rejected_by_broker", "The broker rejected the event permanently; `okr produce spool status` says why."
            )
        return statuses == {"sent"}

    def _wait_for(self, position: int) -> None:
        deadline = time.monotonic() + DELIVER_S
        with self._settled:
            while self._status_of(position) == "waiting" and self.is_sending and self.problem is None:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not self._settled.wait(remaining_s):
                    break

    def _status_of(self, position: int) -> EventStatus:
        """Return the status of a posted event. If the spool cannot be read, assume that the event is waiting."""
        try:
            return self.spool.event_status(position)
        except OkrError as error:
            self._log.warning("the status of a posted event cannot be read", position=position, error=str(error))
            return "waiting"

    def _run(self) -> None:
        with closing(Drainer(self.spool, self.kafka)) as drainer:
            self._send_until_stopped(drainer)

    def _send_until_stopped(self, drainer: Drainer) -> None:
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        is_last = False
        while not is_last:
            self._wake.wait(IDLE_S)
            self._wake.clear()
            is_last = self._stopping.is_set()
            if not (is_last and self.problem):  # after a failure, do not delay the shutdown
                self._drain_once(drainer)
            if self.problem is None:
                backoff.reset()
                self.thread.report_success()
            elif not is_last:
                self._stopping.wait(backoff.pause())

    def _drain_once(self, drainer: Drainer) -> None:
        try:
            drained = drainer.drain(PASS_S)
            self.counts["sent"] += drained.sent
            if not drained.is_empty:
                self._wake.set()
        except OkrError as error:
            if self.problem is None:
                self._log.warning("events wait in the spool", error=str(error))
            self._set_problem(str(error))
        except Exception as error:  # the thread must survive any error
            self._log.error("events cannot be sent", error=str(error), exc_info=error)
            drainer.close()
            self._set_problem(f"{type(error).__name__}: {error}")
        else:
            if self.problem is not None:
                self._log.info("events are sent again")
            self._set_problem(None)

    def _set_problem(self, problem: str | None) -> None:
        self.problem = problem
        with self._settled:
            self._settled.notify_all()
