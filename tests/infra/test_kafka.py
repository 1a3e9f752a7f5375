import uuid

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Producer
from confluent_kafka.admin import AdminClient

from infra.local.kafka import PARTITIONS
from lakehouse.contracts import TOPICS
from lakehouse.settings import Settings


def test_every_topic_of_the_contracts_exists_with_its_partitions(kafka: Settings) -> None:
    topics = AdminClient({"bootstrap.servers": kafka.kafka_bootstrap}).list_topics(timeout=10).topics
    assert set(TOPICS) == set(PARTITIONS)
    assert {name: len(topics[name].partitions) for name in TOPICS} == PARTITIONS


def test_the_broker_dates_an_event_whatever_its_producer_says(kafka: Settings) -> None:
    producer = Producer({"bootstrap.servers": kafka.kafka_bootstrap, "enable.idempotence": True})
    producer.produce("okr_data_pipeline", b"probe", timestamp=1_000)
    assert producer.flush(30) == 0
    consumer = Consumer(
        {"bootstrap.servers": kafka.kafka_bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["okr_data_pipeline"])
    try:
        message = consumer.poll(30)
        assert message is not None
        kind, at_ms = message.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME
        assert at_ms > 1_000
    finally:
        consumer.close()


def test_a_mistyped_topic_is_not_created(kafka: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.kafka_bootstrap})
    topic = admin.list_topics("okr_user_event", timeout=10).topics["okr_user_event"]
    assert topic.error is not None
    assert "okr_user_event" not in admin.list_topics(timeout=10).topics
