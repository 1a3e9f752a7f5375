"""A Kafka client without a group, to which a test assigns partitions manually."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingestion.kafka_consumer import KafkaConsumer
from lakehouse.kafka_connection import KafkaConnection

Callback = Callable[[Consumer, list[TopicPartition]], None]


class ManualConsumer(Consumer):
    """Reads from the broker; `give` and `take` replace the group's rebalances."""

    def subscribe(self, _topics: Sequence[str], *, on_assign: Callback, on_revoke: Callback, **_: Any) -> None:
        """Store the callbacks without joining a group."""
        self._on_assign, self._on_revoke = on_assign, on_revoke

    def give(self, topic: str, partitions: Iterable[int]) -> None:
        """Assign these partitions, as the group does while the client is polled."""
        self._on_assign(self, [TopicPartition(topic, partition) for partition in sorted(partitions)])

    def take(self, topic: str, partitions: Iterable[int]) -> None:
        """Revoke these partitions, as the group does while the client is polled."""
        self._on_revoke(self, [TopicPartition(topic, partition) for partition in sorted(partitions)])


def reader_by_hand(
    client: type[ManualConsumer], bootstrap: str, group: str, topics: Sequence[str]
) -> tuple[KafkaConsumer, ManualConsumer]:
    """Return a KafkaConsumer with such a client, and the client."""
    made: list[ManualConsumer] = []

    def make(settings: dict[str, Any]) -> ManualConsumer:
        made.append(client(settings))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("confluent_kafka.Consumer", make)
        reader = KafkaConsumer(KafkaConnection(bootstrap), group, topics)
    (consumer,) = made
    return reader, consumer
