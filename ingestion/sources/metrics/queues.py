"""Measure the backlogs of the consumer groups (in Kafka), of the loader (in the lake) and of the spools (on disk).

Each function measures once and lets errors propagate; the collector handles them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ingestion.consumer_groups import LANDING_GROUP, STATE_GROUP, STATE_TOPIC, landing_group, state_group
from ingestion.sources.metrics.families import Reading
from ingestion.spool import Spool, spooled_sources
from lakehouse.connection_limits import CONSUMER
from lakehouse.contracts import TOPICS
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

LOADER = "okr-load"
ANSWER_SECONDS = 10.0

Offsets = dict[tuple[str, int], int]


@dataclass(frozen=True)
class GroupOffsets:
    """By (topic, partition): the start and end of the log, and the group's next offset (the start if it has none)."""

    starts: Offsets
    ends: Offsets
    positions: Offsets


class Group:
    """Queries the offsets of a consumer group without joining it.

    `name` is the group's name in our metrics and `group_id` its name in Kafka. `topics` are the topics that it reads.

    The class uses a Consumer instead of an AdminClient, because librdkafka 2.16 crashes the process if an AdminClient
    queries a group whose coordinator is still loading.
    """

    def __init__(self, kafka: KafkaConnection, name: str, group_id: str, topics: Sequence[str] = TOPICS) -> None:
        from confluent_kafka import Consumer

        self.name = name
        self._topics = topics
        self._consumer = Consumer(kafka.client_settings() | {"group.id": group_id, "enable.auto.commit": False})

    @classmethod
    def landing(cls, settings: Settings) -> Self:
        """Return the group that lands events in this lake."""
        return cls(KafkaConnection.of(settings), LANDING_GROUP, landing_group(settings))

    @classmethod
    def state(cls, settings: Settings) -> Self:
        """Return the group that maintains this database's state tables."""
        return cls(KafkaConnection.of(settings), STATE_GROUP, state_group(settings, "dsn_metrics"), [STATE_TOPIC])

    def offsets(self) -> GroupOffsets:
        """Return the offsets of the group.

        Raises:
            confluent_kafka.KafkaException: the broker does not respond.
        """
        from confluent_kafka import TopicPartition

        topics = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        known = [topic for topic in self._topics if topic in topics]
        partitions = [TopicPartition(topic, partition) for topic in known for partition in topics[topic].partitions]
        bounds = {
            (each.topic, each.partition): self._consumer.get_watermark_offsets(each, timeout=ANSWER_SECONDS)
            for each in partitions
        }
        starts = {key: low for key, (low, _) in bounds.items()}
        committed = {
            (each.topic, each.partition): each.offset
            for each in self._consumer.committed(partitions, timeout=ANSWER_SECONDS)
            if each.offset >= 0
        }
        return GroupOffsets(starts, {key: high for key, (_, high) in bounds.items()}, starts | committed)


def consumer_lag(groups: Sequence[Group], instance: str) -> Iterator[AppMetricSampled]:
    """Yield, by group and topic, the number of messages that the group has yet to read.

    Raises:
        confluent_kafka.KafkaException: the broker does not respond.
    """
    for group in groups:
        offsets = group.offsets()
        for topic, events in _unread_by_topic(offsets.starts, offsets.ends, offsets.positions).items():
            yield _sample(group.name, instance, "consumer_lag", events, {"topic": topic})


def waiting_for_raw(settings: Settings, landing: Group, instance: str) -> Iterator[AppMetricSampled]:
    """Yield, by topic, the number of messages that have landed in the lake but are not loaded into `raw`.

    The lake's offsets are read from Kafka, where landing workers maintain a copy of them for monitoring.

    Raises:
        confluent_kafka.KafkaException, RetryableError, psycopg.Error: Kafka or PostgreSQL does not respond.
    """
    offsets = landing.offsets()
    with connect(
        settings.require("dsn_metrics"), application="okr-metrics", autocommit=True, limits=CONSUMER
    ) as connection:
        rows = connection.execute(read_sql(__package__ or "", "raw_watermarks")).fetchall()
    loaded = {(str(topic), int(str(partition))): int(str(offset)) for topic, partition, offset in rows}
    for topic, events in _unread_by_topic(offsets.starts, offsets.positions, loaded).items():
        yield _sample(LOADER, instance, "waiting_for_raw", events, {"topic": topic})


def spool_depth(settings: Settings, instance: str) -> Iterator[AppMetricSampled | Reading]:
    """Yield, by source, how many events are waiting on this host's disk and how many the broker permanently rejected.

    Their age and the spool's fill ratio are only for Prometheus.

    Raises:
        OkrError: a spool cannot be read.
    """
    for source in spooled_sources(settings.spool_dir):
        spool = Spool.of(settings, source)
        state = spool.state()
        spool.close()
        yield _sample(source, instance, "spool_waiting", state.waiting, {})
        yield _sample(source, instance, "spool_rejected", state.rejected, {})
        yield Reading("okr_spool_fill_ratio", state.fill_ratio, {"spool": source})
        yield Reading("okr_spool_oldest_seconds", state.oldest_seconds, {"spool": source})


def _sample(app: str, instance: str, metric: str, number: int, labels: dict[str, str]) -> AppMetricSampled:
    return AppMetricSampled(
        app=app, instance=instance, metric=metric, value=float(number), unit="events", labels=labels
    )


def _unread_by_topic(starts: Offsets, ends: Offsets, positions: Offsets) -> Counter[str]:
    """Return, by topic, the number of messages from the position, or from the start of the log if later, to the end."""
    unread: Counter[str] = Counter()
    for key, end in ends.items():
        start = max(starts.get(key, 0), positions.get(key, 0))
        unread[key[0]] += max(0, end - start)
    return unread
