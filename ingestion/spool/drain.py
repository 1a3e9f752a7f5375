"""Send spooled events to the broker, in order.

Draining takes the oldest events, sends them, waits for acknowledgements and then deletes the acknowledged events. If
the process dies in between, some events are sent twice; staging counts each event id once. Events with the same key are
never sent out of order: only one process sends at a time, messages have no timeout, and after a failure sending starts
again with the oldest event.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ingestion.client_errors import is_permanent
from ingestion.producer import EventProducer
from ingestion.spool.sqlite_errors import SpoolFullError
from ingestion.spool.store import Spool, SpooledEvent
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

log = get_logger(__name__)

BATCH_EVENTS = 2_000
BATCH_BYTES = 16_777_216  # well below the client's queue limit, so that queueing never blocks
BROKER_SECONDS = 3.0


class Drained(NamedTuple):
    """The number of events sent, and whether the spool is empty (also False while another process is sending)."""

    sent: int
    is_empty: bool


class Drainer:
    """Sends the events of one spool. It is not thread-safe. Processes that share a spool send one after the other."""

    def __init__(self, spool: Spool, kafka: KafkaConnection) -> None:
        """Prepare the drainer without connecting, because the broker may be down."""
        self._spool = spool
        self._kafka = kafka
        self._producer: EventProducer | None = None
        # Positions of events that were sent but could not be deleted, because the disk was full.
        self._undeleted: set[int] = set()

    def drain(self, limit_seconds: float) -> "Drained":
        """Send waiting events, oldest first, for at most about `limit_seconds`.

        Events that the broker permanently rejects are marked with the reason and do not block others.

        Raises:
            RetryableError: the broker did not respond in time. Waiting events stay queued and are sent first the next
                time.
            SpoolFullError: all events were sent, but they cannot be deleted yet because the disk is full.
        """
        deadline = time.monotonic() + limit_seconds
        sent = 0
        with self._spool.draining(limit_seconds) as is_ours:
            while is_ours and (batch := self._next_batch()):
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    return Drained(sent, is_empty=False)
                sent += self._send(batch, remaining_s)
            if self._undeleted:
                self._settle((), {})
        return Drained(sent, is_empty=is_ours)

    def close(self) -> None:
        """Close the connection to the broker; unacknowledged events stay in the spool."""
        if self._producer is not None:
            self._producer.abandon()
            self._producer = None

    def _next_batch(self) -> list[SpooledEvent]:
        size = 0
        batch: list[SpooledEvent] = []
        for event in self._spool.oldest(BATCH_EVENTS, without=self._undeleted):
            size += len(event.value)
            if batch and size > BATCH_BYTES:
                break
            batch.append(event)
        return batch

    def _send(self, batch: Sequence[SpooledEvent], limit_seconds: float) -> int:
        started = time.monotonic()
        results = Results()
        producer = self._connected(min(BROKER_SECONDS, limit_seconds))
        try:
            for event in batch:
                on_result = partial(results.note, event.position)
                try:
                    producer.send_raw(event.topic, event.key, event.value, on_result)
                except ContractViolation as error:
                    results.rejected[event.position] = str(error)
            producer.flush(max(0.1, limit_seconds - (time.monotonic() - started)))
        except RetryableError:
            self.close()  # a failed producer cannot be reused
            if not results.rejected:  # otherwise the error is due to a rejection, and the other events are sent next
                raise
        finally:
            try:
                self._settle(results.delivered, results.rejected)
            except SpoolFullError as error:
                log.warning("sent events cannot be deleted yet", number=len(self._undeleted), error=str(error))
        return len(results.delivered)

    def _settle(self, delivered: Sequence[int], rejected: dict[int, str]) -> None:
        for position, reason in rejected.items():
            log.error(
                "the broker permanently rejected an event", spool=str(self._spool.path), position=position, why=reason
            )
        self._undeleted.update(delivered)
        if self._undeleted or rejected:
            self._spool.settle(sorted(self._undeleted), rejected)
            self._undeleted.clear()

    def _connected(self, limit_seconds: float) -> EventProducer:
        """Return a producer whose broker responds. Between calls, the client continues to connect in the background."""
        if self._producer is None:
            self._producer = EventProducer(
                self._kafka, client_id=self._spool.source, connect_seconds=0, is_in_order=True
            )
        self._producer.check_broker(limit_seconds)
        return self._producer


class Results:
    """The broker's results so far for the events of a batch."""

    def __init__(self) -> None:
        self.delivered: list[int] = []
        self.rejected: dict[int, str] = {}

    def note(self, position: int, error: "KafkaError | None") -> None:
        """Record one result. After a transient error, the event stays queued."""
        if error is None:
            self.delivered.append(position)
        elif is_permanent(error):
            self.rejected[position] = error.str()
