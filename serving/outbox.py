"""The way of our own events to the broker: kept in the spool on disk, then sent by one thread.

So a request never waits for Kafka to be well, and what was accepted survives a restart of the service and of the
broker. What users say and what the service notes of itself (forecasts served, latencies) have an outbox each: own file,
own bounds, own thread, so that however much is asked for, no check-in waits behind it or is turned away.

`post` is for events that are told on the side (a served prediction); `deliver` also waits a moment for the
broker's acknowledgement (a check-in).
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ingestion.backoff import Backoff
from ingestion.event_codec import EncodedEvent
from ingestion.spool import Drainer, Spool, SpoolState
from ingestion.spool.store import EventStatus
from lakehouse.background import BackgroundThread
from lakehouse.errors import ContractViolation, OkrError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from serving.errors import NotPersisted

SOURCE = "okr-api"
PASS_S = 5.0  # the longest that one attempt to send what waits may take
DELIVER_S = 5.0
IDLE_S = 2.0  # another process of the API may have left something
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


@dataclass
class Outbox:
    """Keeps events in the spool and sends them through the real producer. Start it before use, stop it at the end."""

    bootstrap: str
    spool: Spool
    counts: Counter[str] = field(default_factory=Counter)
    """posted, sent, turned_away (the caller got an error): events since the start."""
    trouble: str | None = None
    """Why the last attempt to send failed; None when it did not."""

    def __post_init__(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._settled = threading.Condition()
        self.thread = BackgroundThread(
            f"outbox-{self.spool.source}", self._run, self._stopping, state=self.state_folder
        )
        self._log = get_logger(__name__)

    @classmethod
    def from_settings(cls, settings: Settings, source: str = SOURCE) -> "Outbox":
        """Return the outbox of what users say, or of another source of the API's, not started.

        Raises:
            PermanentError: a setting is missing.
        """
        return cls(settings.require("kafka_bootstrap"), Spool.of(settings, source))

    @property
    def state_folder(self) -> Path:
        """The state folder, in which the spools' folder is."""
        return self.spool.path.parent.parent

    @property
    def is_sending(self) -> bool:
        """Whether the sending thread lives; without it nothing more is sent."""
        return self.thread.is_alive

    def state(self) -> SpoolState:
        """Return what waits.

        Raises:
            PermanentError: the spool cannot be read.
        """
        return self.spool.state()

    def start(self) -> None:
        """Start the sending thread; it begins with what an earlier process left."""
        self.thread.start()

    def stop(self) -> None:
        """Send what waits, once, then stop; what the broker does not take stays in the spool for the next start."""
        self._stopping.set()
        self._wake.set()
        self.thread.join(2 * PASS_S)
        if waiting := self.state().waiting:
            self._log.warning(
                "events stay in the spool for the next start", waiting=waiting, spool=str(self.spool.path)
            )

    def post(self, events: Sequence[EncodedEvent]) -> list[int]:
        """Keep events, all or none, and return their places in the spool; they are sent when the broker is there.

        Raises:
            NotPersisted: nothing was kept; the log says why.
            ContractViolation: the broker would never take one of them.
        """
        if not events:
            return []
        try:
            places = self.spool.append(events)
        except OkrError as error:
            self.counts["not_persisted"] += len(events)
            self._log.error("events were turned away", number=len(events), error=str(error))
            if isinstance(error, ContractViolation):
                raise
            raise NotPersisted(
                "Too many events wait for the broker, or the disk takes nothing; /health tells."
            ) from error
        self.counts["posted"] += len(events)
        self._wake.set()
        return places

    def deliver(self, event: EncodedEvent) -> bool:
        """Keep an event and wait a moment; return whether the broker has it, or it waits for the broker in the spool.

        Raises:
            NotPersisted: it was not kept.
            ContractViolation: the broker will never take it.
        """
        (place,) = self.post([event])
        deadline = time.monotonic() + DELIVER_S
        with self._settled:
            while (found := self._place(place)) == "waiting" and self.is_sending and self.trouble is None:
                left = deadline - time.monotonic()
                if left <= 0 or not self._settled.wait(left):
                    break
            found = self._place(place)
        if found == "rejected":
            raise ContractViolation(
                "rejected_by_broker", "The broker rejected the event permanently; `okr produce spool status` says why."
            )
        return found == "sent"

    def _place(self, position: int) -> EventStatus:
        """Say what became of an event that was kept; where the spool does not tell, it waits: that is no error."""
        try:
            return self.spool.event_status(position)
        except OkrError as error:
            self._log.warning("the spool does not tell where a kept event is", position=position, error=str(error))
            return "waiting"

    def _run(self) -> None:
        with closing(Drainer(self.spool, self.bootstrap)) as drainer:
            self._send_until_stopped(drainer)

    def _send_until_stopped(self, drainer: Drainer) -> None:
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        is_last = False
        while not is_last:
            self._wake.wait(IDLE_S)
            self._wake.clear()
            is_last = self._stopping.is_set()
            if not (is_last and self.trouble):  # the spool keeps it: no stop waits for a broker that is away
                self._drain_once(drainer)
            if self.trouble is None:
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
            if self.trouble is None:
                self._log.warning("events wait in the spool", error=str(error))
            self._now(str(error))
        except Exception as error:  # whatever it is, the thread has to go on with what comes next
            self._log.error("events cannot be sent", error=str(error), exc_info=error)
            drainer.close()
            self._now(f"{type(error).__name__}: {error}")
        else:
            if self.trouble is not None:
                self._log.info("events are sent again")
            self._now(None)

    def _now(self, trouble: str | None) -> None:
        self.trouble = trouble
        with self._settled:
            self._settled.notify_all()
