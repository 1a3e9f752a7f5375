"""How much waits between two hops: in Kafka for each consumer group, in the lake for `raw`, on disk for Kafka.

Each function measures once and raises what it meets: the collector goes on without it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ingestion.client_errors import QUIET
from ingestion.consumer_groups import LANDING_GROUP, STATE_GROUP, STATE_TOPIC, landing_group, state_group
from ingestion.spool import Spool, spooled_sources
from lakehouse.connection_limits import CONSUMER
from lakehouse.contracts import TOPICS
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

LOADER = "okr-load"
ANSWER_SECONDS = 10.0

Offsets = dict[tuple[str, int], int]


@dataclass(frozen=True)
class GroupOffsets:
    """By (topic, partition): where the log begins and ends, and the group's next read (at first the begin)."""

    begins: Offsets
    ends: Offsets
    positions: Offsets


class Group:
    """Asks the broker about a consumer group without joining it; `name` is ours, `group_id` Kafka's.

    `topics`: those that the group reads, for what it never reads does not wait for it.

    A consumer is asked, not an AdminClient: librdkafka 2.16 crashes the process when that is told of a group's
    coordinator that it is still loading.
    """

    def __init__(self, bootstrap: str, name: str, group_id: str, topics: Sequence[str] = TOPICS) -> None:
        from confluent_kafka import Consumer

        self.name = name
        self._topics = topics
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": group_id, "enable.auto.commit": False, **QUIET}
        )

    @classmethod
    def landing(cls, settings: Settings) -> Self:
        """Return the group that lands in this lake."""
        return cls(settings.require("kafka_bootstrap"), LANDING_GROUP, landing_group(settings))

    @classmethod
    def state(cls, settings: Settings) -> Self:
        """Return the group that keeps this database's state."""
        return cls(settings.require("kafka_bootstrap"), STATE_GROUP, state_group(settings), [STATE_TOPIC])

    def offsets(self) -> GroupOffsets:
        """Return where the group is.

        Raises:
            confluent_kafka.KafkaException: the broker does not answer.
        """
        from confluent_kafka import TopicPartition

        topics = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        known = [topic for topic in self._topics if topic in topics]
        places = [TopicPartition(topic, partition) for topic in known for partition in topics[topic].partitions]
        bounds = {
            (each.topic, each.partition): self._consumer.get_watermark_offsets(each, timeout=ANSWER_SECONDS)
            for each in places
        }
        begins = {place: low for place, (low, _) in bounds.items()}
        committed = {
            (each.topic, each.partition): each.offset
            for each in self._consumer.committed(places, timeout=ANSWER_SECONDS)
            if each.offset >= 0
        }
        return GroupOffsets(begins, {place: high for place, (_, high) in bounds.items()}, begins | committed)


def consumer_lag(groups: Sequence[Group], instance: str) -> Iterator[AppMetricSampled]:
    """Yield the messages of each topic that each group of ours has yet to read.

    Raises:
        confluent_kafka.KafkaException: the broker does not answer.
    """
    for group in groups:
        offsets = group.offsets()
        for topic, events in _behind(offsets.begins, offsets.ends, offsets.positions).items():
            yield _events(group.name, instance, "consumer_lag", events, {"topic": topic})


def waiting_for_raw(settings: Settings, landing: Group, instance: str) -> Iterator[AppMetricSampled]:
    """Yield the messages of each topic that have landed in the lake, but are not loaded into `raw`.

    Where the lake stands is taken from Kafka's copy of it, which the landing workers keep for monitors like this one.

    Raises:
        confluent_kafka.KafkaException, RetryableError, psycopg.Error: Kafka or PostgreSQL does not answer.
    """
    offsets = landing.offsets()
    with connect(
        settings.require("dsn_loader"), application="okr-metrics", autocommit=True, limits=CONSUMER
    ) as connection:
        rows = connection.execute(read_sql(__package__ or "", "raw_watermarks")).fetchall()
    loaded = {(str(topic), int(str(partition))): int(str(offset)) for topic, partition, offset in rows}
    for topic, events in _behind(offsets.begins, offsets.positions, loaded).items():
        yield _events(LOADER, instance, "waiting_for_raw", events, {"topic": topic})


def spool_depth(settings: Settings, instance: str) -> Iterator[AppMetricSampled]:
    """Yield how many events of each source wait on this host's disk, and how many the broker refused for good.

    Raises:
        OkrError: a spool cannot be read.
    """
    for source in spooled_sources(settings.spool_dir):
        spool = Spool.of(settings, source)
        state = spool.state()
        spool.close()
        yield _events(source, instance, "spool_waiting", state.waiting, {})
        yield _events(source, instance, "spool_rejected", state.rejected, {})


def _events(app: str, instance: str, metric: str, number: int, labels: dict[str, str]) -> AppMetricSampled:
    return AppMetricSampled(
        app=app, instance=instance, metric=metric, value=float(number), unit="events", labels=labels
    )


def _behind(begins: Offsets, ends: Offsets, positions: Offsets) -> Counter[str]:
    """Sum up, by topic, what lies between a position (or where the log begins, if there is none) and the end."""
    behind: Counter[str] = Counter()
    for place, end in ends.items():
        begin = max(begins.get(place, 0), positions.get(place, 0))
        behind[place[0]] += max(0, end - begin)
    return behind
