"""The real API, on a warehouse of its own, to which Alertmanager reports."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from infra.alertmanager.api_key import ensure_key
from infra.alertmanager.receivers import Receivers
from ingestion.contract_validation import decode
from lakehouse.settings import Settings
from tests.databases import NewDatabase
from tests.ops.conftest import RequirePrograms
from tests.serving.live_server import Api, serving

TOPIC = "okr_data_pipeline"


@pytest.fixture(scope="session", autouse=True)
def _programs(require_programs: RequirePrograms) -> None:
    require_programs("prometheus-alertmanager", "amtool")


@pytest.fixture(scope="session")
def api_settings(
    new_database: NewDatabase, kafka: Settings, redis_server: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of an API on an empty warehouse."""
    with new_database() as settings:
        yield settings.model_copy(
            update={
                "state": tmp_path_factory.mktemp("api"),
                "kafka_bootstrap": kafka.kafka_bootstrap,
                "redis_url": redis_server.redis_url,
            }
        )


@pytest.fixture(scope="session")
def api(api_settings: Settings) -> Iterator[Api]:
    """The API, started once."""
    with serving(api_settings) as running:
        yield running


@pytest.fixture
def receivers(api: Api, tmp_path: Path) -> Receivers:
    """The API as the only receiver, with a key from `okr alertmanager key`."""
    file = tmp_path / "key"
    url = str(api.client.base_url).rstrip("/")
    assert ensure_key(url, ("admin", api.settings.require("admin_password")), file)
    return Receivers(url, file)


@dataclass
class Log:
    """The events about alerts on okr_data_pipeline since the test started."""

    consumer: Consumer
    events: list[Any]

    def named(self, name: str, number: int, limit_s: float = 60) -> list[Any]:
        """Return the events about the alerts of a name when there are `number` of them, or fail."""
        deadline = time.monotonic() + limit_s
        while len(found := [each for each in self.events if each.payload.alert == name]) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} events after {limit_s} s"
            self.read(0.5)
        return found

    def distinct(self, name: str, number: int, limit_s: float = 60) -> list[Any]:
        """Return the events about the alerts of a name, each once, when there are `number` of them, or fail."""
        deadline = time.monotonic() + limit_s
        while len(found := {each.envelope.id: each for each in self.events if each.payload.alert == name}) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} events after {limit_s} s"
            self.read(0.5)
        return list(found.values())

    def read(self, wait_s: float) -> None:
        """Read what has arrived."""
        for message in self.consumer.consume(5_000, wait_s):
            if message.error() is None and b"okr.alert.changed" in (message.value() or b""):
                self.events.append(decode(TOPIC, message.value(), message.key()))


@contextmanager
def reading(settings: Settings, group: str) -> Iterator[Log]:
    """Read the topic from its start."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    try:
        yield Log(consumer, [])
    finally:
        consumer.close()


@pytest.fixture
def log(kafka: Settings, request: pytest.FixtureRequest) -> Iterator[Log]:
    """The topic, read from its start."""
    with reading(kafka, request.node.name) as found:
        yield found
