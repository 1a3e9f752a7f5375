"""Operations of an administrator or of the broker on topics."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from infra.kafka.topics import PARTITIONS, TOPIC_SETTINGS
from ingestion.log_identity import log_ids
from lakehouse.settings import Settings
from tests.faults.lake import TOPIC
from tests.polling import until

ANSWER_SECONDS = 30


class Topics:
    """The platform's topics on one broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def renew(self) -> None:
        """Delete and re-create the platform's topics: their offsets start at 0."""
        self.delete(list(PARTITIONS))
        self.create(list(PARTITIONS))

    def names(self) -> set[str]:
        """Return the topics that the broker has."""
        return set(self._admin.list_topics(timeout=ANSWER_SECONDS).topics)

    def log_id(self, topic: str) -> str:
        """Return the log id of a topic (cluster id/topic id)."""
        return log_ids(self._admin, [topic])[topic]

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics and wait until they do not exist."""
        present = [name for name in names if name in self.names()]
        _wait(self._admin.delete_topics(present, request_timeout=ANSWER_SECONDS) if present else {})
        until(lambda: not self.names() & set(names), "the topics are deleted")

    def create(self, names: Sequence[str]) -> None:
        """Create topics as the platform does, and wait until they exist."""
        new = [NewTopic(name, PARTITIONS[name], 1, config=TOPIC_SETTINGS) for name in names]
        _wait(self._admin.create_topics(new, request_timeout=ANSWER_SECONDS))
        until(lambda: self.names() >= set(names), "the topics exist")

    def add_partitions(self, name: str, total: int) -> None:
        """Increase a topic's number of partitions."""
        _wait(self._admin.create_partitions([NewPartitions(name, total)], request_timeout=ANSWER_SECONDS))

    def configure(self, name: str, **settings: str) -> None:
        """Change a topic's settings (pass names with dots as `**{...}`)."""
        self._alter(ConfigResource(ResourceType.TOPIC, name), settings)

    def cut(self, name: str, partition: int, first: int) -> int:
        """Delete the records before offset `first`, as retention does; return the total number of deleted offsets."""
        _wait(self._admin.delete_records([TopicPartition(name, partition, first)], request_timeout=ANSWER_SECONDS))
        return first

    def empty(self) -> None:
        """Delete every record of the platform's topics."""
        places = [
            TopicPartition(name, partition, OFFSET_END) for name in PARTITIONS for partition in self._partitions(name)
        ]
        _wait(self._admin.delete_records(places, request_timeout=ANSWER_SECONDS))

    def commit_offsets(self, group: str, name: str, *, to_end: bool) -> None:
        """Set the group's committed offsets to the end or to the beginning of the topic."""
        with _consumer(self._bootstrap, group) as consumer:
            places = [TopicPartition(name, partition) for partition in range(PARTITIONS[name])]
            for place in places:
                low, high = consumer.get_watermark_offsets(place, ANSWER_SECONDS)
                place.offset = high if to_end else low
            consumer.commit(offsets=places, asynchronous=False)

    def compact(self, name: str) -> None:
        """Compact a topic as soon and as often as the broker can: only the last record of a key remains."""
        broker = {"log.cleaner.backoff.ms": "100"}
        self._alter(ConfigResource(ResourceType.BROKER, "1"), broker)
        self.configure(
            name,
            **{
                "cleanup.policy": "compact",
                "segment.ms": "200",
                "min.cleanable.dirty.ratio": "0.001",
                "min.compaction.lag.ms": "0",
                "max.compaction.lag.ms": "500",
            },
        )

    def stop_compacting(self, name: str) -> None:
        """Stop compacting a topic, and wait until a compaction in progress has ended."""
        self.configure(name, **{"cleanup.policy": "delete"})
        counts = [-1]

        def is_steady() -> bool:
            counts.append(self.count_records(name))
            return counts[-1] == counts[-2]

        until(is_steady, "compaction has ended", pause=1.0)

    def end_offsets(self, name: str) -> int:
        """Return the sum of a topic's end offsets: the number of records it ever had (without transactions)."""
        with _consumer(self._bootstrap, "faults-count") as consumer:
            places = [TopicPartition(name, partition) for partition in self._partitions(name)]
            return sum(consumer.get_watermark_offsets(place, ANSWER_SECONDS)[1] for place in places)

    def count_records(self, name: str) -> int:
        """Return the number of records that a consumer reads from a topic."""
        return sum(len(each) for each in self.read(name).values())

    def read(self, name: str) -> dict[int, list[int]]:
        """Return the offsets that a consumer reads, by partition."""
        partitions = self._partitions(name)
        found: dict[int, list[int]] = {partition: [] for partition in partitions}
        with _consumer(self._bootstrap, "faults-count") as consumer:
            consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in partitions])
            ended: set[int] = set()
            while len(ended) < len(partitions):
                for message in consumer.consume(1000, timeout=1.0):
                    error = message.error()
                    if error is None:
                        found[message.partition()].append(message.offset())
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
        return found

    def _partitions(self, name: str) -> list[int]:
        return sorted(self._admin.list_topics(name, timeout=ANSWER_SECONDS).topics[name].partitions)

    def _alter(self, resource: ConfigResource, settings: dict[str, str]) -> None:
        for key, value in settings.items():
            resource.add_incremental_config(ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET))
        _wait(self._admin.incremental_alter_configs([resource], request_timeout=ANSWER_SECONDS))


def _consumer(bootstrap: str, group: str) -> Any:
    return closing(
        Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        )
    )


def _wait(futures: Any) -> None:
    for future in futures.values():
        future.result(ANSWER_SECONDS)


def log_id(settings: Settings) -> str:
    """Return the log id of TOPIC."""
    return log_ids(AdminClient({"bootstrap.servers": settings.kafka_bootstrap}), [TOPIC])[TOPIC]


def read_all(settings: Settings, count: int) -> dict[int, list[Any]]:
    """Read the topic's messages once, by partition."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "read-all"})
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, each, OFFSET_BEGINNING) for each in partitions])
    found: dict[int, list[Any]] = {}
    while sum(map(len, found.values())) < count:
        for message in consumer.consume(1000, timeout=5.0):
            found.setdefault(message.partition(), []).append(message)
    consumer.close()
    return found
