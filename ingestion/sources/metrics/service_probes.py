"""Check whether Kafka, PostgreSQL and Redis respond; the result is the metric `up` (1 or 0) of each service."""

from collections.abc import Callable, Iterator

from ingestion.sources.metrics.families import Reading
from ingestion.sources.metrics.kafka_cluster import cluster_readings
from lakehouse.connection_limits import CONSUMER
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.redis_connection import new_client, redis_address
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

ANSWER_SECONDS = 3.0


def kafka_up(kafka: KafkaConnection, instance: str) -> Iterator[AppMetricSampled | Reading]:
    """Yield whether any broker responds and, only for Prometheus, what it says about each broker and all partitions."""
    from confluent_kafka.admin import AdminClient, ClusterMetadata

    client = AdminClient(kafka.client_settings())
    answers: list[ClusterMetadata] = []
    yield _up("kafka", instance, lambda: answers.append(client.list_topics(timeout=ANSWER_SECONDS)))
    for metadata in answers:
        yield from cluster_readings(metadata)


def postgresql_up(settings: Settings, instance: str) -> Iterator[AppMetricSampled]:
    """Yield whether PostgreSQL accepts the collector's login."""

    def probe() -> object:
        with connect(
            settings.require("dsn_metrics"), application="okr-metrics", autocommit=True, limits=CONSUMER
        ) as connection:
            return connection.info.server_version

    yield _up("postgresql", instance, probe)


def redis_up(settings: Settings, instance: str) -> Iterator[AppMetricSampled]:
    """Yield whether Redis responds."""
    url = redis_address(settings, "redis_metrics_url")

    def probe() -> object:
        with new_client(url, ANSWER_SECONDS) as client:
            return client.ping()

    yield _up("redis", instance, probe)


def _up(app: str, instance: str, probe: Callable[[], object]) -> AppMetricSampled:
    try:
        probe()
        value = 1.0
    except Exception:  # any error counts as no response; the cause is in the log of the service
        value = 0.0
    return AppMetricSampled(app=app, instance=instance, metric="up", value=value, unit="ratio")
