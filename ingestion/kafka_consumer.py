"""Read a consumer group's partitions from Kafka, starting at the offsets that the sink has stored.

Kafka's own committed offsets are not used. Partitions are assigned to the client together with the sink's offsets, so
no message is read from any other position (kafka-delta-ingest PR 92). If an offset is outside the broker's range, the
worker stops, because resetting the offset would silently skip or repeat events (Hudi #5400).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingestion.batch import Batch, Limits, Span
from ingestion.client_errors import ClientErrors
from ingestion.log_identity import log_ids
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.retry import attempts

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

log = get_logger(__name__)

CHUNK_MESSAGES = 1_000  # these fit into the CPU cache; reading takes a quarter less CPU time than with 10,000
CONNECT_SECONDS = 15.0
PAUSE_SECONDS = 0.5  # between two attempts to query the broker
DRAIN_SECONDS = 60.0
LOG_IDENTITY_TIMEOUT_SECONDS = 60.0
CONSUMER_SETTINGS: dict[str, Any] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "allow.auto.create.topics": False,
    "enable.partition.eof": True,
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 6_000,  # after which a killed worker's partitions are reassigned
    "heartbeat.interval.ms": 2_000,
    "topic.metadata.refresh.interval.ms": 30_000,  # after which added partitions are discovered
    # Do not fetch more in advance than landing can process, so that decompressed messages are still in the CPU cache
    # when they are parsed. This saves a tenth of all CPU time. A fetch of 256 KB decompresses to ten times that size.
    "queued.min.messages": 5_000,
    "queued.max.messages.kbytes": 49_152,
    "fetch.message.max.bytes": 262_144,
    "fetch.queue.backoff.ms": 5,
}

# Maps the assigned partitions, as (topic, partition), to the offsets at which reading starts (None: the log's start).
StoredOffsets = Callable[[Sequence[tuple[str, int]]], Mapping[tuple[str, int], int | None]]


class BrokerNotReady(RetryableError):
    """No broker responds, or it lacks a topic, as it does while it starts."""


class KafkaConsumer:
    """Reads micro-batches from the partitions that are assigned to this worker. Close it to leave the group."""

    def __init__(self, kafka: KafkaConnection, group: str, topics: Sequence[str], **overrides: Any) -> None:
        """Connect and find the topics; `start` then joins the group.

        Raises:
            RetryableError: no broker responds, or a topic does not exist.
        """
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        self._kafka = kafka
        self._topics = list(topics)
        self._positions: dict[tuple[str, int], int | None] = {}
        self._assigned: list[tuple[str, int]] = []
        self._ends: dict[tuple[str, int], int] = {}  # end offsets of the partitions that were read to their end
        self._last_message = time.monotonic()
        self._is_reassigned = False
        self._stored_offsets: StoredOffsets | None = None
        self._settle: Callable[[], None] = lambda: None
        self._consumer: Consumer = Consumer(
            CONSUMER_SETTINGS
            | kafka.client_settings()
            | {"group.id": group, "error_cb": ClientErrors(kafka)}
            | overrides
        )
        _find_topics(self._consumer, kafka, self._topics)
        self._admin = AdminClient(kafka.client_settings())
        self.log_ids = log_ids(self._admin, self._topics)  # by topic: the id of the log to which its offsets belong

    def start(self, stored_offsets: StoredOffsets, settle: Callable[[], None] = lambda: None) -> None:
        """Join the group. On each assignment, `stored_offsets` returns the offsets at which reading starts.

        `settle` waits until the batch in flight is stored. It is called before `stored_offsets`, and before partitions
        are revoked.
        """
        self._stored_offsets, self._settle = stored_offsets, settle
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def poll(self, limits: Limits) -> Batch:
        """Return the next micro-batch. It starts at the end of the previous one, whether or not that one was stored.

        The batch is empty if no message arrives within `limits.seconds`, or if the group is being rebalanced.

        Raises:
            PermanentError: the broker no longer has the next offset.
            RetryableError: a topic was re-created, so the messages may come from a different log than earlier ones.
        """
        batch = Batch(self._positions)
        deadline = time.monotonic() + limits.seconds
        while not batch.is_full(limits) and (remaining_s := deadline - time.monotonic()) > 0:
            # Take the messages that have already been fetched. If there are none, wait for a single one, because
            # messages may be large.
            size = min(CHUNK_MESSAGES, limits.rows - batch.rows)
            wait_seconds = min(remaining_s, limits.idle_seconds)
            messages = self._consumer.consume(size, timeout=0) or self._consumer.consume(1, timeout=wait_seconds)
            if self._is_reassigned or (batch.rows and not messages):
                break
            if messages:
                self._last_message = time.monotonic()
            valid = [message for message in messages if message.error() is None]
            batch.add(valid)
            if len(valid) < len(messages):
                for message in messages:
                    self._handle_error(message)
        if self._is_reassigned:
            # These messages belong to the previous assignment. They have not landed and will be read again.
            self.rewind()
            return Batch(self._positions)
        if batch.rows:
            # Check this after reading, because the client silently continues at the old offset of a re-created topic.
            self._require_same_logs()
        self._positions |= batch.ends()
        return batch

    def rewind(self) -> None:
        """Continue at the sink's stored offset in every assigned partition.

        Raises:
            RetryableError: a topic was re-created since it was last read, or the broker does not respond.
        """
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        if self._stored_offsets is None:
            raise PermanentError("KafkaConsumer.start must be called before reading.")
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
        # Lag monitors read the offsets committed to Kafka, which may be outdated or missing.
        self._commit_to_kafka({key: offset for key, offset in self._positions.items() if offset is not None})
        log.info("reading", partitions=len(self._assigned))

    def report_stored(self, topic: str, spans: Mapping[int, Span]) -> None:
        """Commit the sink's stored offsets to Kafka, for lag monitors and for the API, which shows what has landed."""
        self._commit_to_kafka({(topic, partition): span.next for partition, span in spans.items()})

    def is_at_end(self) -> bool:
        """Return whether every partition has been read to its end; False before the first assignment.

        Raises:
            RetryableError: no message arrived for a minute, although the end has not been reached.
        """
        lags = self.lag()
        if lags and all(lag == 0 for lag in lags.values()):
            return True
        if time.monotonic() > self._last_message + DRAIN_SECONDS:
            raise RetryableError(
                f"No message arrived from Kafka for {DRAIN_SECONDS:.0f} s, but the end of the log was not reached. Lag "
                f"by partition: {lags or 'no partition is assigned'}. Is the broker overloaded? Try again."
            )
        return False

    def lag(self) -> dict[tuple[str, int], int | None]:
        """Return the number of offsets from the position to the end of each assigned partition.

        The end is the one that the partition's last fetch returned. Before its first fetch, the lag is None.
        """
        from confluent_kafka import TopicPartition

        lags: dict[tuple[str, int], int | None] = {}
        for topic, partition in self._assigned:
            # Use cached offsets. A query would wait for the long-polling fetches, which takes half a second per
            # partition.
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            position = self._positions.get((topic, partition))
            # Control records after the last message have offsets, but are not lag.
            read = max(low if position is None else position, self._ends.get((topic, partition), 0))
            lags[(topic, partition)] = max(high - read, 0) if high >= 0 else None
        return lags

    def close(self) -> None:
        """Leave the group, so that this worker's partitions are reassigned without waiting for a timeout."""
        self._consumer.close()

    def _commit_to_kafka(self, positions: Mapping[tuple[str, int], int]) -> None:
        from confluent_kafka import TopicPartition

        if positions:
            offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _require_same_logs(self) -> None:
        """Check that no topic was re-created. Retry for up to `LOG_IDENTITY_TIMEOUT_SECONDS`.

        Raises:
            RetryableError: a topic was re-created, or the broker does not respond.
        """
        with_retries = attempts(RetryableError, LOG_IDENTITY_TIMEOUT_SECONDS, pause_s=PAUSE_SECONDS)
        if with_retries(log_ids, self._admin, self._topics) != self.log_ids:
            raise RetryableError(
                "A topic was deleted and re-created while it was being read, so its offsets start again at 0. After a "
                "restart, the consumer compares the logs before it reads."
            )

    def _handle_error(self, message: "Message") -> None:
        from confluent_kafka import KafkaError

        topic_partition, error = (message.topic() or "", message.partition()), message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._ends[topic_partition] = message.offset()
        elif error is not None:
            _raise_unless_transient(topic_partition, error, self._kafka)

    def _on_assign(self, consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
        # Assign no partitions yet, so that nothing is read before the sink's offsets are known; `rewind` assigns them.
        consumer.assign([])
        self._assigned = [(each.topic, each.partition) for each in partitions]
        self._is_reassigned = True

    def _on_revoke(self, consumer: "Consumer", _partitions: "list[TopicPartition]") -> None:
        self._settle()  # so that the next owner starts at the end of this batch
        consumer.unassign()
        self._assigned = []
        self._is_reassigned = True


def _find_topics(consumer: "Consumer", kafka: KafkaConnection, topics: Sequence[str]) -> None:
    from confluent_kafka import KafkaException

    def check_topics() -> None:
        try:
            metadata = consumer.list_topics(timeout=5.0)
            missing = sorted(set(topics) - set(metadata.topics))
            reason = f" that user {kafka.user!r} may read" if kafka.user else ""
            problem = f"it has no topic {', '.join(missing)}{reason}" if missing else ""
        except KafkaException as error:
            kafka.require_usable()
            problem = error.args[0].str()
        if problem:
            raise BrokerNotReady(
                f"The Kafka broker at {kafka.bootstrap} was not ready within {CONNECT_SECONDS:.0f} s: {problem}. "
                "Is the stack up (`make status`)?"
            )

    attempts(BrokerNotReady, CONNECT_SECONDS, pause_s=PAUSE_SECONDS)(check_topics)


def _raise_unless_transient(topic_partition: tuple[str, int], error: "KafkaError", kafka: KafkaConnection) -> None:
    from confluent_kafka import KafkaError, KafkaException

    if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        raise PermanentError(
            f"{topic_partition}: the broker no longer has, or does not yet have, the next offset ({error.str()}). "
            "Nothing was skipped. Was its log truncated, or its retention shorter than the worker's downtime? "
            "See docs/runbooks/offset-out-of-range.md."
        )
    if error.fatal() or not error.retriable():
        raise RetryableError(f"Reading {topic_partition} failed: {kafka.explain(error)}") from KafkaException(error)
    log.warning("reading failed; the client is retrying", topic_partition=topic_partition, error=kafka.explain(error))
