"""From the spool to the broker, in the order of the spool.

Read it from top to bottom: take the oldest events, send them, wait for the broker, then delete what it has. A process
that dies in between sends some again; staging counts an event id once. A later event of a key never overtakes an
earlier one: one process sends at a time, its producer lets none time out, and after a failure the oldest comes first
again.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ingestion.producer import EventProducer
from ingestion.spool.sqlite_errors import SpoolFullError
from ingestion.spool.store import Spool, SpooledEvent
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

log = get_logger(__name__)

BATCH_EVENTS = 2_000
BATCH_BYTES = 16_777_216  # well below what the client queues, so that queueing never waits
BROKER_SECONDS = 3.0


class Drained(NamedTuple):
    """How many events the broker has taken, and whether none is left (False also where another process sends)."""

    sent: int
    is_empty: bool


class Drainer:
    """Sends what waits in one spool. Not for several threads at once; several processes take turns."""

    def __init__(self, spool: Spool, bootstrap: str) -> None:
        """Connect to nothing yet: the broker may be away."""
        self._spool = spool
        self._bootstrap = bootstrap
        self._producer: EventProducer | None = None
        self._unsettled: set[int] = set()  # sent, but the full disk did not let them be deleted

    def drain(self, limit_seconds: float) -> "Drained":
        """Send what waits, oldest first, for at most about `limit_seconds`.

        What the broker will never take is set aside with its reason, so that it holds up nothing else.

        Raises:
            RetryableError: the broker did not answer in time; what waits stays and goes first next time.
            SpoolFullError: the broker has everything, but the full disk does not let it be deleted yet.
        """
        deadline = time.monotonic() + limit_seconds
        sent = 0
        with self._spool.draining(limit_seconds) as is_ours:
            while is_ours and (batch := self._next_batch()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return Drained(sent, is_empty=False)
                sent += self._send(batch, left)
            if self._unsettled:
                self._settle((), {})
        return Drained(sent, is_empty=is_ours)

    def close(self) -> None:
        """Close the connection to the broker; what is not acknowledged stays in the spool."""
        if self._producer is not None:
            self._producer.abandon()
            self._producer = None

    def _next_batch(self) -> list[SpooledEvent]:
        size = 0
        batch: list[SpooledEvent] = []
        for event in self._spool.oldest(BATCH_EVENTS, without=self._unsettled):
            size += len(event.value)
            if batch and size > BATCH_BYTES:
                break
            batch.append(event)
        return batch

    def _send(self, batch: Sequence[SpooledEvent], limit_seconds: float) -> int:
        begun = time.monotonic()
        results = Results()
        producer = self._connected(min(BROKER_SECONDS, limit_seconds))
        try:
            for event in batch:
                on_result = partial(results.note, event.position)
                try:
                    producer.send_raw(event.topic, event.key, event.value, on_result)
                except ContractViolation as refusal:
                    results.rejected[event.position] = str(refusal)
            producer.flush(max(0.1, limit_seconds - (time.monotonic() - begun)))
        except RetryableError:
            self.close()  # a producer that failed stays failed
            if not results.rejected:  # else it ended because of a refusal, and the others have yet to be tried
                raise
        finally:
            try:
                self._settle(results.delivered, results.rejected)
            except SpoolFullError as error:
                log.warning("what was sent cannot be deleted yet", number=len(self._unsettled), error=str(error))
        return len(results.delivered)

    def _settle(self, delivered: Sequence[int], rejected: dict[int, str]) -> None:
        for position, reason in rejected.items():
            log.error("the broker will never take an event", spool=str(self._spool.path), position=position, why=reason)
        self._unsettled.update(delivered)
        if self._unsettled or rejected:
            self._spool.settle(sorted(self._unsettled), rejected)
            self._unsettled.clear()

    def _connected(self, limit_seconds: float) -> EventProducer:
        """Return a producer whose broker answers; the client itself goes on connecting between two calls."""
        if self._producer is None:
            self._producer = EventProducer(
                self._bootstrap, client_id=self._spool.source, connect_seconds=0, is_in_order=True
            )
        self._producer.check_broker(limit_seconds)
        return self._producer


class Results:
    """What the broker said of each event of a batch; of some it may have said nothing."""

    def __init__(self) -> None:
        self.delivered: list[int] = []
        self.rejected: dict[int, str] = {}

    def note(self, position: int, error: "KafkaError | None") -> None:
        """Take note of one answer; an error that may pass leaves the event where it is."""
        if error is None:
            self.delivered.append(position)
        elif _is_for_good(error):
            self.rejected[position] = error.str()


def _is_for_good(error: "KafkaError") -> bool:
    """Say whether sending the same bytes again would fail again, whatever an operator does to the broker's health."""
    from confluent_kafka import KafkaError

    return error.code() in (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
    )
