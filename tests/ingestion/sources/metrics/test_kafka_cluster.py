"""What the collector says about Kafka's brokers and partitions."""

from types import SimpleNamespace
from typing import Any, cast

from ingestion.sources.metrics.kafka_cluster import cluster_readings
from ingestion.sources.metrics.service_probes import kafka_up
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings


def metadata(brokers: set[int], *partitions: tuple[int, list[int], list[int]]) -> Any:
    """Return Kafka's answer: the brokers, and the leader, replicas and synchronous replicas of partitions."""
    found = {
        number: SimpleNamespace(leader=leader, replicas=replicas, isrs=isrs)
        for number, (leader, replicas, isrs) in enumerate(partitions)
    }
    return SimpleNamespace(brokers=dict.fromkeys(brokers), topics={"t": SimpleNamespace(partitions=found)})


def values(answer: Any) -> dict[str, float]:
    return {next(iter(each.labels.values())): each.value for each in cluster_readings(cast("Any", answer))}


def test_a_broker_that_left_the_cluster_is_down_although_the_others_answer() -> None:
    three = [1, 2, 3]
    assert values(metadata({1, 3}, (1, three, [1, 3]), (3, three, [1, 3]), (-1, [2], [2]))) == {
        "kafka-broker-1": 1, "kafka-broker-2": 0, "kafka-broker-3": 1, "under-replicated": 2, "offline": 1
    }  # fmt: skip


def test_a_complete_cluster() -> None:
    assert values(metadata({1, 2}, (1, [1, 2], [2, 1]))) == {
        "kafka-broker-1": 1, "kafka-broker-2": 1, "under-replicated": 0, "offline": 0
    }  # fmt: skip


def test_a_running_broker_says_it_of_itself(pipeline: Settings) -> None:
    samples = list(kafka_up(KafkaConnection.of(pipeline), "host"))
    assert {getattr(each, "name", "event"): each.value for each in samples} == {
        "event": 1, "okr_component_up": 1, "okr_kafka_partitions": 0
    }  # fmt: skip
