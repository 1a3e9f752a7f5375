"""Query the broker for the bounds of each partition, and for records in gaps."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ingestion.ledger.offsets import Gap
from ingestion.log_identity import log_ids
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Bounds:
    """A partition's first retained offset, and the next offset that the broker will assign."""

    low: int
    high: int


class Broker:
    """A read-only connection to the broker. It joins no group and commits nothing."""

    def __init__(self, kafka: KafkaConnection) -> None:
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        self._kafka = kafka
        self._is_unavailable = False
        self._admin = AdminClient(kafka.client_settings())
        self._consumer = Consumer(
            {
                **kafka.client_settings(),
                "group.id": "okr-ledger",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
            }
        )

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions, or none if the broker does not answer."""
        try:
            return list(self.bounds(topic))
        except RetryableError:
            return []

    def bounds(self, topic: str) -> dict[int, Bounds]:
        """Return the bounds of a topic's partitions. After a call without a response, all later calls fail immediately.

        Raises:
            RetryableError: the broker does not answer, or lacks the topic.
        """
        from confluent_kafka import KafkaException, TopicPartition

        if self._is_unavailable:
            raise RetryableError("The broker does not answer. Is the stack up (`make status`)?")
        try:
            metadata = self._consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
            if metadata.error is not None:
                raise RetryableError(f"The broker has no topic {topic}: {metadata.error.str()}.")
            return {
                partition: Bounds(
                    *self._consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_SECONDS)
                )
                for partition in metadata.partitions
            }
        except KafkaException as error:
            self._is_unavailable = True
            self._kafka.require_usable()
            raise RetryableError(
                f"The broker does not answer: {error.args[0].str()}. Is the stack up (`make status`)?"
            ) from error

    def log_id(self, topic: str) -> str:
        """Return the id of the topic's log.

        Raises:
            RetryableError: the broker does not answer, or lacks the topic.
        """
        return log_ids(self._admin, [topic])[topic]

    def has_record(self, topic: str, partition: int, gap: Gap) -> bool:
        """Return whether a gap has a record that consumers can read, unlike the broker's own control records.

        Raises:
            RetryableError: the broker does not answer.
        """
        from confluent_kafka import KafkaError, TopicPartition

        self._consumer.assign([TopicPartition(topic, partition, gap.start)])
        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            while time.monotonic() < deadline:
                message = self._consumer.poll(0.2)
                error = message.error() if message is not None else None
                if message is not None and (error is None or error.code() == KafkaError._PARTITION_EOF):
                    return bool(message.offset() < gap.end and error is None)
                if error is not None and not error.retriable():
                    raise RetryableError(f"offset {gap.start} can no longer be read ({error.str()})")
        finally:
            self._consumer.unassign()
        raise RetryableError(
            f"The broker did not answer queries about offsets {gap} of {topic}/{partition} within "
            f"{ANSWER_SECONDS:.0f} s."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
