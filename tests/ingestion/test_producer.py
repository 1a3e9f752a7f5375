"""The producer never loses an event silently."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from infra.local.kafka import Kafka
from infra.local.stack import prepare_stack
from infra.local.unsupervised import running
from ingestion.contract_validation import MAX_VALUE_BYTES, EncodedEvent
from ingestion.producer import RETRIES, EventProducer
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings

Events = Callable[[int], EncodedEvent]


@pytest.fixture
def _short_topic_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka waits half a minute for an unknown topic."""
    monkeypatch.setitem(RETRIES, "topic.metadata.propagation.max.ms", 1_000)


def test_accepted_messages_are_counted_by_topic(pipeline: Settings, check_in: Events) -> None:
    with EventProducer(KafkaConnection.of(pipeline)) as producer:
        for number in range(500):
            producer.send(check_in(number))
    assert dict(producer.delivered) == {"okr_user_events": 500}
    assert not producer.failed


def test_an_unavailable_broker_is_reported_within_the_limit() -> None:
    started = time.monotonic()
    with pytest.raises(RetryableError, match=r"127\.0\.0\.1:1 .*make status"):
        EventProducer(KafkaConnection("127.0.0.1:1"), connect_seconds=1.0)
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("_short_topic_timeout")
def test_a_message_that_the_broker_rejects_is_counted_and_raised(pipeline: Settings, check_in: Events) -> None:
    producer = EventProducer(KafkaConnection.of(pipeline))
    producer.send(check_in(1))
    producer.send_raw("no_such_topic", b"k", b"v")
    with pytest.raises(RetryableError, match=r"accepted 1 messages, rejected 1"):
        producer.flush()
    assert dict(producer.failed) == {"no_such_topic": 1}


def test_the_largest_value_that_landing_accepts_is_sent_and_a_larger_message_rejected(pipeline: Settings) -> None:
    with EventProducer(KafkaConnection.of(pipeline)) as producer:
        producer.send_raw("okr_user_events", b"k" * 128, random.Random(1).randbytes(MAX_VALUE_BYTES))
        with pytest.raises(ContractViolation, match=r"okr_user_events has 1048590 bytes.* at most 1048588") as refused:
            producer.send_raw("okr_user_events", b"k", b"x" * 1_048_589)
    assert refused.value.reason == "too_large"
    assert dict(producer.delivered) == {"okr_user_events": 1}


@pytest.mark.usefixtures("_short_topic_timeout")
def test_a_message_that_the_client_rejects_can_be_retried(pipeline: Settings) -> None:
    producer = EventProducer(KafkaConnection.of(pipeline))
    producer.send_raw("no_such_topic", b"k", b"v")
    with pytest.raises(RetryableError, match="rejected 1"):
        producer.flush()
    with pytest.raises(RetryableError, match=r"did not accept a message to no_such_topic: .*make status"):
        producer.send_raw("no_such_topic", b"k", b"v")


def test_a_flush_to_an_unavailable_broker_ends_and_reports_unacknowledged_messages(
    check_in: Events, tmp_path: Path
) -> None:
    broker = Kafka(prepare_stack(tmp_path))
    with running(broker):
        producer = EventProducer(KafkaConnection(broker.stack.env["OKR_KAFKA_BOOTSTRAP"]))
    producer.send(check_in(1))
    with pytest.raises(RetryableError, match="did not acknowledge 1"):
        producer.flush(1.0)


def test_a_full_queue_blocks_the_source_and_drops_nothing(
    pipeline: Settings, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.producer.QUEUE_MESSAGES", 50)
    with EventProducer(KafkaConnection.of(pipeline)) as producer:
        for number in range(2000):
            producer.send(check_in(number))
    assert producer.delivered["okr_user_events"] == 2000


def test_a_permanent_failure_of_the_client_is_solved_by_a_new_producer(
    pipeline: Settings, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The only way to make the client fail in a test: a message that the broker rejects.
    monkeypatch.setattr("ingestion.producer.IN_ORDER", {"enable.gapless.guarantee": True})
    admin = AdminClient({"bootstrap.servers": pipeline.kafka_bootstrap})
    admin.create_topics([NewTopic("tiny", 1, 1, config={"max.message.bytes": "2000"})])["tiny"].result(30)
    producer = EventProducer(KafkaConnection.of(pipeline), is_in_order=True)
    producer.send_raw("tiny", b"k", random.Random(1).randbytes(5_000))
    with pytest.raises(RetryableError, match="failed \\("):
        producer.flush()
    producer.abandon()
    with EventProducer(KafkaConnection.of(pipeline)) as another:
        another.send(check_in(1))
    assert another.delivered["okr_user_events"] == 1


def test_a_producer_without_a_connect_timeout_is_created_without_a_broker() -> None:
    producer = EventProducer(KafkaConnection("127.0.0.1:1"), connect_seconds=0)
    with pytest.raises(RetryableError, match=r"127\.0\.0\.1:1"):
        producer.check_broker(0.5)
