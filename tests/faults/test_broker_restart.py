"""A broker that dies while a worker reads from it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable

from infra.local.kafka import SERVER_SETTINGS, Kafka
from infra.local.kafka_jars import fetch
from infra.local.stack import prepare_stack
from infra.local.unsupervised import running
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.lake import table_uri
from lakehouse.settings import Settings

TOPIC = "okr_user_events"


@contextmanager
def landing(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    worker = threading.Thread(target=land, args=(settings, stop))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(30)
    assert not worker.is_alive()


def until_landed(settings: Settings, count: int) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        uri = table_uri(settings.lake_uri, TOPIC)
        if DeltaTable.is_deltatable(uri):
            rows = DeltaTable(uri).to_pyarrow_dataset().to_table(columns=["kafka_partition", "kafka_offset"])
            if rows.num_rows >= count:
                return sorted(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        time.sleep(0.2)
    raise AssertionError(f"{count} rows did not land within a minute")


@pytest.mark.timeout(180)
def test_a_worker_survives_a_broker_restart_without_loss_or_repeat(
    check_in: Callable[[int], EncodedEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVER_SETTINGS, "group.min.session.timeout.ms", "1000")  # for the short sessions of conftest
    fetch(print)
    broker = Kafka(prepare_stack(tmp_path / "stack"))
    settings = Settings(
        kafka_bootstrap=broker.stack.env["OKR_KAFKA_BOOTSTRAP"], lake_uri=str(tmp_path / "lake"), airflow_url=""
    )

    def send(numbers: range) -> None:
        with EventProducer(KafkaConnection.of(settings)) as producer:
            for number in numbers:
                producer.send(check_in(number))

    with running(broker):
        broker.after_start()
        send(range(100))
        worker = landing(settings)
        worker.__enter__()
        until_landed(settings, 100)
    with running(broker):
        send(range(100, 250))
        places = until_landed(settings, 250)
        worker.__exit__(None, None, None)
    assert len(places) == len(set(places)) == 250
