"""What Kafka's metadata says about brokers and partitions. No agent in the brokers is needed, so servers have it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingestion.sources.metrics.families import Reading

if TYPE_CHECKING:
    from confluent_kafka.admin import ClusterMetadata


def cluster_readings(metadata: "ClusterMetadata") -> Iterator[Reading]:
    """Yield whether each broker is in the cluster, and how many partitions lack replicas or a leader.

    A broker that stopped or hangs is not in the metadata. It is known because partitions have a replica on it.
    """
    partitions = [partition for topic in metadata.topics.values() for partition in topic.partitions.values()]
    known = {*metadata.brokers, *(replica for partition in partitions for replica in partition.replicas)}
    for broker in sorted(known):
        yield Reading("okr_component_up", float(broker in metadata.brokers), {"component": f"kafka-broker-{broker}"})
    short = sum(len(partition.isrs) < len(partition.replicas) for partition in partitions)
    headless = sum(partition.leader not in metadata.brokers for partition in partitions)
    yield Reading("okr_kafka_partitions", float(short), {"state": "under-replicated"})
    yield Reading("okr_kafka_partitions", float(headless), {"state": "offline"})
