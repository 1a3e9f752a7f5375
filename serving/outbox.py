"""The way of our own events to the broker: one thread that sends in batches, so that requests need not wait for Kafka.

`post` is for events that are told on the side (a served prediction): kept and sent again while the broker is away.
`deliver` is for events whose acknowledgement the caller awaits (a check-in).
"""

import queue
import threading
from collections import Counter
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field

from ingestion.events import EncodedEvent
from ingestion.producer import EventProducer
from lakehouse.errors import RetryableError
from lakehouse.logs import get_logger

WAITING_MOST = 50_000
BATCH_MOST = 2_000
CONNECT_S = 3.0
FLUSH_S = 8.0
DELIVER_S = 12.0  # a little more than connecting and flushing once
PAUSE_S = 2.0


@dataclass
class _Parcel:
    event: EncodedEvent
    delivered: "Future[None] | None" = None


@dataclass
class Outbox:
    """Sends events through the real producer. Start it before use, stop it at the end."""

    bootstrap: str
    waiting_most: int = WAITING_MOST
    counts: Counter[str] = field(default_factory=Counter)
    """posted, sent, lost: events since the start."""

    def __post_init__(self) -> None:
        self._waiting: queue.Queue[_Parcel] = queue.Queue(self.waiting_most)
        self._stopping = threading.Event()
        self._producer: EventProducer | None = None
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._log = get_logger(__name__)

    @property
    def is_sending(self) -> bool:
        """Whether the sending thread lives; without it nothing more is sent."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the sending thread."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, once, then stop; what the broker does not take is counted and logged as lost."""
        self._stopping.set()
        self._thread.join(timeout=CONNECT_S + FLUSH_S + PAUSE_S)
        if left := self._waiting.qsize():
            self._lost(left, "the service stops and the broker is away")

    def post(self, events: list[EncodedEvent]) -> None:
        """Queue events without waiting. When the queue is full they are counted and logged as lost."""
        for position, event in enumerate(events):
            try:
                self._waiting.put_nowait(_Parcel(event))
            except queue.Full:
                self._lost(len(events) - position, "the queue is full because the broker is away")
                return
            self.counts["posted"] += 1

    def deliver(self, event: EncodedEvent) -> None:
        """Send an event and wait for the broker's acknowledgement.

        Raises:
            RetryableError: the broker did not acknowledge it within DELIVER_S seconds.
            ContractViolation: the broker would never take the event.
        """
        parcel = _Parcel(event, Future())
        assert parcel.delivered is not None  # noqa: S101 -- made in the line above
        try:
            self._waiting.put_nowait(parcel)
            parcel.delivered.result(timeout=DELIVER_S)
        except (queue.Full, FutureTimeout) as error:
            parcel.delivered.cancel()
            raise RetryableError(f"The broker did not acknowledge the event within {DELIVER_S:.0f} s.") from error

    def _run(self) -> None:
        batch: list[_Parcel] = []
        while not (self._stopping.is_set() and self._waiting.empty() and not batch):
            batch.extend(self._next_parcels(BATCH_MOST - len(batch)))
            if not batch:
                continue
            try:
                self._send(batch)
            except Exception as error:  # whatever it is, the thread has to go on with what comes next
                self._producer = None  # a producer that failed stays failed: the next attempt connects anew
                batch = self._after_failure(batch, error)
                if self._stopping.is_set():
                    self._lost(len(batch), "the service stops and the broker is away")
                    return
                self._stopping.wait(PAUSE_S)
            else:
                batch = []

    def _next_parcels(self, most: int) -> list[_Parcel]:
        parcels: list[_Parcel] = []
        try:
            while len(parcels) < most:
                parcel = self._waiting.get(timeout=0.2) if not parcels else self._waiting.get_nowait()
                if parcel.delivered is None or parcel.delivered.set_running_or_notify_cancel():
                    parcels.append(parcel)
        except queue.Empty:
            pass
        return parcels

    def _send(self, batch: list[_Parcel]) -> None:
        if self._producer is None:
            self._producer = EventProducer(self.bootstrap, client_id="okr-api", connect_seconds=CONNECT_S)
        producer = self._producer
        self._queue(batch, producer)
        producer.flush(FLUSH_S)
        self.counts["sent"] += len(batch)
        for parcel in batch:
            if parcel.delivered is not None:
                parcel.delivered.set_result(None)

    def _queue(self, batch: list[_Parcel], producer: EventProducer) -> None:
        """Hand events to the producer and leave in the batch what it may take: one refused must not hold up others.

        Raises:
            RetryableError: the producer takes nothing now.
        """
        refused: list[_Parcel] = []
        try:
            for parcel in batch:
                try:
                    producer.send(parcel.event)
                except RetryableError:
                    raise
                except Exception as error:  # as in `_run`
                    refused.append(parcel)
                    self._give_up([parcel], error)
                    self._producer = None  # it may be the producer that is broken: the next batch connects anew
        finally:
            batch[:] = [parcel for parcel in batch if not any(parcel is one for one in refused)]

    def _after_failure(self, batch: list[_Parcel], error: Exception) -> list[_Parcel]:
        """Tell those who wait; return the others, which are sent again (the same event id counts once)."""
        if not isinstance(error, RetryableError):
            self._give_up(batch, error)
            return []
        self._log.warning("events could not be sent", waiting=len(batch) + self._waiting.qsize(), error=str(error))
        return self._tell(batch, error)

    def _give_up(self, parcels: list[_Parcel], error: Exception) -> None:
        """Tell those who wait; the others are lost, since sending again would fail again."""
        self._log.error("events cannot be sent", number=len(parcels), error=str(error), exc_info=error)
        self._lost(len(self._tell(parcels, error)), f"the producer refuses them for good ({type(error).__name__})")

    @staticmethod
    def _tell(parcels: list[_Parcel], error: Exception) -> list[_Parcel]:
        for parcel in parcels:
            if parcel.delivered is not None:
                parcel.delivered.set_exception(error)
        return [parcel for parcel in parcels if parcel.delivered is None]

    def _lost(self, number: int, why: str) -> None:
        if number:
            self.counts["lost"] += number
            self._log.error("events lost", number=number, why=why)
