"""Helpers to post check-ins and to read them from the log and the state tables."""

import threading
from datetime import datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition
from httpx import Response

from ingestion.contract_validation import decode
from ingestion.state.consumer import consume_state
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.serving.live_server import Api

TOPIC = "okr_user_events"


def word() -> str:
    return f"test-{uuid4()}"


def post(api: Api, headers: dict[str, str], body: dict[str, Any], key: str | None = None, query: str = "") -> Response:
    extra = {} if key is None else {"Idempotency-Key": key}
    return api.client.post(f"/v1/check-ins{query}", json=body, headers={**headers, **extra})


def put(api: Api, headers: dict[str, str], check_in_id: str, body: dict[str, Any], key: str | None = None) -> Response:
    extra = {} if key is None else {"Idempotency-Key": key}
    return api.client.put(f"/v1/check-ins/{check_in_id}", json=body, headers={**headers, **extra})


def accepted(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def events_of(settings: Settings, check_in_id: str) -> list[tuple[str, datetime, CheckInRecorded]]:
    """Return every event of a check-in in the log: its id, time and content."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": str(uuid4())})
    spans = {
        number: consumer.get_watermark_offsets(TopicPartition(TOPIC, number), 10)
        for number in consumer.list_topics(TOPIC, 10).topics[TOPIC].partitions
    }
    # Other tests empty the topic, so it may not start at offset 0.
    consumer.assign([TopicPartition(TOPIC, number, start) for number, (start, _end) in spans.items()])
    ends = {number: end for number, (start, end) in spans.items() if end > start}
    found, left = [], set(ends)
    while left:
        message = consumer.poll(5)
        assert message is not None
        assert message.error() is None
        if message.offset() + 1 >= ends[message.partition()]:
            left.discard(message.partition())
        if check_in_id.encode() in (message.value() or b""):
            decoded = decode(TOPIC, message.value(), message.key())
            assert isinstance(decoded.payload, CheckInRecorded)
            found.append((str(decoded.envelope.id), decoded.envelope.time, decoded.payload))
    consumer.close()
    return found


def read_state(settings: Settings) -> None:
    """Let the state consumer read the whole log, from its start, because other tests empty the topic."""
    with connect(settings.require("dsn_owner"), autocommit=True) as owner:
        owner.execute("DELETE FROM app.consumer_offset")
    consume_state(settings, threading.Event(), drain=True)
