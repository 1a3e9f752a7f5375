"""Draining to a real broker: in order, once if nothing dies, and not blocked by a rejected event."""

import threading
from collections.abc import Callable, Collection
from pathlib import Path
from uuid import uuid4

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Drainer, Spool, drain
from ingestion.spool.sqlite_errors import SpoolFullError
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from tests.ingestion.spool.kafka_log import values_by_key

Events = Callable[[int], EncodedEvent]
TOPIC = "okr_user_events"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", "source")


def test_waiting_events_are_sent_in_order_and_deleted(pipeline: Settings, spool: Spool, check_in: Events) -> None:
    events = [check_in(number) for number in range(5_000)]
    spool.append(events)
    drained = Drainer(spool, KafkaConnection.of(pipeline)).drain(60)
    assert drained == (5_000, True)
    assert spool.state().waiting == 0
    logged = values_by_key(pipeline, TOPIC)
    assert sum(map(len, logged.values())) == 5_000
    for key, values in logged.items():
        assert values == [event.value for event in events if event.key == key]


def test_without_a_broker_it_fails_in_time_and_keeps_all_events(spool: Spool, check_in: Events) -> None:
    spool.append([check_in(1)])
    drainer = Drainer(spool, KafkaConnection("127.0.0.1:1"))
    for _ in range(2):
        with pytest.raises(RetryableError, match=r"127\.0\.0\.1:1 .*make status"):
            drainer.drain(1.0)
    assert spool.state().waiting == 1


def test_creating_a_drainer_does_not_connect(spool: Spool) -> None:
    assert Drainer(spool, KafkaConnection("127.0.0.1:1")).drain(1.0) == (0, True)


def test_an_event_that_the_broker_rejects_is_marked_and_the_others_are_sent(
    pipeline: Settings, spool: Spool, check_in: Events
) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = f"small-{uuid4()}"
    admin = AdminClient({"bootstrap.servers": pipeline.kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "2000"})])[topic].result(30)
    good = [EncodedEvent(topic, b"k", str(number).encode()) for number in range(10)]
    # Random bytes, because the limit applies after compression.
    large = EncodedEvent(topic, b"k", bytes(random_bytes(5_000)))
    places = spool.append([*good[:5], large, *good[5:]])
    drainer = Drainer(spool, KafkaConnection.of(pipeline))
    while spool.state().waiting:
        drainer.drain(60)
    assert values_by_key(pipeline, topic)[b"k"] == [event.value for event in good]
    ((rejected, why),) = spool.rejected()
    assert rejected.position == places[5]
    assert "too large" in why.lower()


def random_bytes(size: int) -> bytes:
    import random

    return random.Random(1).randbytes(size)


def test_two_concurrent_drainers_send_each_event_once(pipeline: Settings, spool: Spool, check_in: Events) -> None:
    spool.append([check_in(number) for number in range(4_000)])
    counts: list[int] = []

    def drain() -> None:
        mine = Spool(spool.path.parent, "source")
        counts.append(Drainer(mine, KafkaConnection.of(pipeline)).drain(60).sent)

    workers = [threading.Thread(target=drain) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert sum(counts) == 4_000
    assert sum(map(len, values_by_key(pipeline, TOPIC).values())) == 4_000


def test_events_that_a_full_disk_does_not_let_delete_are_not_sent_again(
    pipeline: Settings, spool: Spool, check_in: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append([check_in(number) for number in range(10)])
    drainer = Drainer(spool, KafkaConnection.of(pipeline))

    def full(*_: object) -> None:
        raise SpoolFullError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "settle", full)
        for _ in range(2):
            with pytest.raises(SpoolFullError):
                drainer.drain(30)
    assert spool.state().waiting == 10
    assert drainer.drain(30) == (0, True)
    assert spool.state().waiting == 0
    assert sum(map(len, values_by_key(pipeline, TOPIC).values())) == 10


class HalfBroker:
    """Replaces producer and broker; only some of its partitions respond."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.silent: Collection[bytes] = ()
        self._unanswered = 0

    def connect(self, *_: object, **__: object) -> "HalfBroker":
        self._unanswered = 0
        return self

    def check_broker(self, limit_seconds: float) -> None: ...

    def abandon(self) -> None: ...

    def send_raw(self, topic: str, key: bytes, value: bytes, on_result: Callable[[object], None]) -> None:
        if key in self.silent:
            self._unanswered += 1
        else:
            self.log.append(value)
            on_result(None)

    def flush(self, limit_seconds: float) -> None:
        if self._unanswered:
            raise RetryableError("a partition did not answer in time")


def test_after_a_full_disk_events_of_a_key_stay_in_order(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = HalfBroker()
    monkeypatch.setattr(drain, "EventProducer", broker.connect)
    spool.append([EncodedEvent(TOPIC, b"b", b"b1"), EncodedEvent(TOPIC, b"a", b"a1")])
    drainer = Drainer(spool, KafkaConnection("a broker"))
    broker.silent = [b"b"]

    def full(*_: object) -> None:
        raise SpoolFullError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "settle", full)
        with pytest.raises(RetryableError, match="did not answer"):
            drainer.drain(30)
    assert broker.log == [b"a1"]
    spool.append([EncodedEvent(TOPIC, b"b", b"b2")])
    broker.silent = ()
    assert drainer.drain(30) == (2, True)
    assert broker.log == [b"a1", b"b1", b"b2"]
    assert spool.state().waiting == 0
