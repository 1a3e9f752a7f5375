"""Reading a group's partitions of Kafka from offsets that the sink keeps, not Kafka.

The seek belongs to the assignment: partitions are handed to the client together with the offsets where the sink stands,
so nothing is ever read from elsewhere (kafka-delta-ingest PR 92). An offset out of the broker's range stops the worker:
to reset it would skip or repeat events in silence (Hudi #5400).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingestion.batch import Batch, Limits, Span
from ingestion.client_errors import QUIET, ClientErrors
from ingestion.log_identity import log_ids
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.logs import get_logger

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

log = get_logger(__name__)

CHUNK_MESSAGES = 1_000  # stays in the processor's cache: reading costs a quarter less CPU than by 10,000
CONNECT_SECONDS = 15.0
DRAIN_SECONDS = 60.0
LOG_SECONDS = 60.0
CONSUMER_SETTINGS: dict[str, Any] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "allow.auto.create.topics": False,
    "enable.partition.eof": True,
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 6_000,  # how long a killed worker's partitions wait for the next one
    "heartbeat.interval.ms": 2_000,
    "topic.metadata.refresh.interval.ms": 30_000,  # until partitions that were added are seen
    # Read ahead no further than landing keeps up with: what was just unpacked is still in the processor's cache when it
    # is taken apart (a tenth of all CPU), and a fetch of 256 KB unpacks to ten times that.
    "queued.min.messages": 5_000,
    "queued.max.messages.kbytes": 49_152,
    "fetch.message.max.bytes": 262_144,
    "fetch.queue.backoff.ms": 5,
    **QUIET,
}

# Given the partitions now assigned, as (topic, partition): where each is to be read from, None for its beginning.
StoredOffsets = Callable[[Sequence[tuple[str, int]]], Mapping[tuple[str, int], int | None]]


class KafkaConsumer:
    """Reads micro-batches of the partitions that the group gives this worker. Close it to leave the group."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], **overrides: Any) -> None:
        """Connect and find the topics; `start` then joins the group.

        Raises:
            RetryableError: no broker answers, or it lacks a topic.
        """
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        self._topics = list(topics)
        self._positions: dict[tuple[str, int], int | None] = {}
        self._assigned: list[tuple[str, int]] = []
        self._ends: dict[tuple[str, int], int] = {}  # the end of a partition, where its reading has come to it
        self._last_message = time.monotonic()
        self._is_reassigned = False
        self._stored_offsets: StoredOffsets | None = None
        self._settle: Callable[[], None] = lambda: None
        self._consumer: Consumer = Consumer(
            CONSUMER_SETTINGS
            | {"bootstrap.servers": bootstrap, "group.id": group, "error_cb": ClientErrors()}
            | overrides
        )
        _find_topics(self._consumer, bootstrap, self._topics)
        self._admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
        self.log_ids = log_ids(self._admin, self._topics)  # by topic: whose offsets these are

    def start(self, stored_offsets: StoredOffsets, settle: Callable[[], None] = lambda: None) -> None:
        """Join the group; at each assignment `stored_offsets` is asked where to read from.

        `settle` stores what is still in hand: it is called before that, and before partitions are given up.
        """
        self._stored_offsets, self._settle = stored_offsets, settle
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def poll(self, limits: Limits) -> Batch:
        """Return the next micro-batch, which begins where the one before it ended, stored or not.

        It is empty after `limits.seconds` without a message, or in a rebalance.

        Raises:
            PermanentError: the broker no longer has the offset that comes next.
            RetryableError: what was read may be of another log than what was read so far.
        """
        batch = Batch(self._positions)
        deadline = time.monotonic() + limits.seconds
        while not batch.is_full(limits) and (left := deadline - time.monotonic()) > 0:
            # What the client has read ahead, which is bounded; only then wait, for one: they may be large.
            size = min(CHUNK_MESSAGES, limits.rows - batch.rows)
            patience = min(left, limits.idle_seconds)
            messages = self._consumer.consume(size, timeout=0) or self._consumer.consume(1, timeout=patience)
            if self._is_reassigned or (batch.rows and not messages):
                break
            if messages:
                self._last_message = time.monotonic()
            good = [message for message in messages if message.error() is None]
            batch.add(good)
            if len(good) < len(messages):
                for message in messages:
                    self._note(message)
        if self._is_reassigned:
            # What was read belongs to an assignment that is gone. Nothing of it is landed, so nothing is lost.
            self.rewind()
            return Batch(self._positions)
        if batch.rows:
            # After it was read: the client goes on at the old offset in a topic that was made anew, without a word.
            self._require_same_logs()
        self._positions |= batch.ends()
        return batch

    def rewind(self) -> None:
        """Read on from where the sink stands, for every partition in hand.

        Raises:
            RetryableError: a topic is not the one that was read so far, or the broker does not say.
        """
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        if self._stored_offsets is None:
            raise PermanentError("KafkaConsumer.start was not called before it read.")
        self._settle()
        if self._assigned:
            self._require_same_logs()
        self._is_reassigned = False
        self._ends.clear()
        self._positions = dict(self._stored_offsets(self._assigned))
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING if offset is None else offset)
                for (topic, partition), offset in self._positions.items()
            ]
        )
        # The group's own offsets, which lag monitors read, may be another lake's or none.
        self._commit_to_kafka({place: offset for place, offset in self._positions.items() if offset is not None})
        log.info("reading", partitions=len(self._assigned))

    def report_stored(self, topic: str, spans: Mapping[int, Span]) -> None:
        """Note that the sink has stored these offsets, and tell Kafka, whose copy is for lag monitors only."""
        self._commit_to_kafka({(topic, partition): span.next for partition, span in spans.items()})

    def is_at_end(self) -> bool:
        """Say whether every partition was read to its end; never true before the group gave this worker a partition.

        Raises:
            RetryableError: no message came for a minute, nor the end.
        """
        lags = self.lag()
        if lags and all(lag == 0 for lag in lags.values()):
            return True
        if time.monotonic() > self._last_message + DRAIN_SECONDS:
            raise RetryableError(
                f"Nothing came from Kafka for {DRAIN_SECONDS:.0f} s, but its end was not seen: {lags or 'none given'}."
            )
        return False

    def lag(self) -> dict[tuple[str, int], int | None]:
        """Return how many offsets lie between what was read and the end of each assigned partition.

        The end is what the last fetch of the partition saw; None before its first fetch.
        """
        from confluent_kafka import TopicPartition

        lags: dict[tuple[str, int], int | None] = {}
        for topic, partition in self._assigned:
            # Asking the broker instead would wait behind its long-polling fetches, half a second a partition.
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            position = self._positions.get((topic, partition))
            # After the last message there may be offsets without one (control records), which are no lag.
            read = max(low if position is None else position, self._ends.get((topic, partition), 0))
            lags[(topic, partition)] = max(high - read, 0) if high >= 0 else None
        return lags

    def close(self) -> None:
        """Leave the group, so that the next worker need not wait for this one to time out."""
        self._consumer.close()

    def _commit_to_kafka(self, positions: Mapping[tuple[str, int], int]) -> None:
        from confluent_kafka import TopicPartition

        if positions:
            offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _require_same_logs(self) -> None:
        """Ask the broker which logs the topics are; it is waited for, a while.

        Raises:
            RetryableError: a topic was made anew, or the broker does not say.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

        attempts = Retrying(
            retry=retry_if_exception_type(RetryableError),
            wait=wait_fixed(0.5),
            stop=stop_after_delay(LOG_SECONDS),
            reraise=True,
        )
        if attempts(log_ids, self._admin, self._topics) != self.log_ids:
            raise RetryableError("A topic was deleted and made anew while it was read: its offsets start anew.")

    def _note(self, message: "Message") -> None:
        from confluent_kafka import KafkaError

        place, error = (message.topic() or "", message.partition()), message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._ends[place] = message.offset()
        elif error is not None:
            _raise_unless_passing(place, error)

    def _on_assign(self, consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
        # Nothing may be read before the sink was asked: the client gets no partition here, `rewind` hands them over.
        consumer.assign([])
        self._assigned = [(each.topic, each.partition) for each in partitions]
        self._is_reassigned = True

    def _on_revoke(self, consumer: "Consumer", _partitions: "list[TopicPartition]") -> None:
        self._settle()  # whoever gets the partitions then finds them where we leave them
        consumer.unassign()
        self._assigned = []
        self._is_reassigned = True


def _find_topics(consumer: "Consumer", bootstrap: str, topics: Sequence[str]) -> None:
    from confluent_kafka import KafkaException

    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            metadata = consumer.list_topics(timeout=5.0)
            missing = sorted(set(topics) - set(metadata.topics))
            problem = f"it has no topic {', '.join(missing)}" if missing else ""
        except KafkaException as error:
            problem = error.args[0].str()
        if not problem:
            return
        if time.monotonic() > deadline:
            raise RetryableError(
                f"The Kafka broker at {bootstrap} was not ready within {CONNECT_SECONDS:.0f} s: {problem}. "
                "Is the stack up (`make status`)?"
            )
        time.sleep(0.5)


def _raise_unless_passing(place: tuple[str, int], error: "KafkaError") -> None:
    from confluent_kafka import KafkaError, KafkaException

    if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        raise PermanentError(
            f"{place}: the broker no longer has, or does not yet have, the offset that comes next ({error.str()}). "
            "Nothing was skipped. Was its log truncated, or retention shorter than the worker's absence? "
            "See docs/runbooks/offset-out-of-range.md."
        )
    if error.fatal() or not error.retriable():
        raise RetryableError(f"Reading {place} failed: {error.str()}.") from KafkaException(error)
    log.warning("reading failed, the client tries again", place=place, error=error.str())
