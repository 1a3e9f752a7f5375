"""The collector keeps measuring while services are down, and its samples are sent later."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from infra.local.ports import choose
from ingestion.contract_validation import EncodedEvent, decode
from ingestion.sources.metrics import collector
from ingestion.sources.metrics.collector import SOURCE, collect
from ingestion.spool import Spool
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.settings import Settings
from tests.ingestion.spool.kafka_log import values_by_key
from tests.polling import until

TOPIC = "okr_system_metrics"


@contextmanager
def collecting(settings: Settings, interval_seconds: float = 0.1) -> Iterator[list[int]]:
    """Run the collector until the block ends; then the list has the number of samples the broker accepted."""
    stop = threading.Event()
    sent: list[int] = []
    worker = threading.Thread(
        target=lambda: sent.append(collect(settings, interval_seconds=interval_seconds, stop=stop))
    )
    worker.start()
    try:
        yield sent
    finally:
        stop.set()
        worker.join(60)
        assert not worker.is_alive(), "stopping waited for something"


def sampled(settings: Settings) -> set[tuple[str, str]]:
    """Return the app (or host) and metric of every event in the log; each is valid."""
    found = set()
    for key, values in values_by_key(settings, TOPIC).items():
        for value in values:
            payload = decode(TOPIC, value, key).payload
            found.add((payload.app if isinstance(payload, AppMetricSampled) else "host", payload.metric))
    return found


def test_everything_is_measured_and_sent(pipeline: Settings, tmp_path: Path) -> None:
    settings = pipeline.model_copy(update={"state": tmp_path})
    wanted = {
        *(("host", metric) for metric in ("cpu_busy", "memory_used", "disk_used")),
        *(("okr-landing", "consumer_lag"), ("okr-state", "consumer_lag"), ("okr-load", "waiting_for_raw")),
        *((app, "up") for app in ("kafka", "postgresql", "redis")),
        *((SOURCE, "spool_waiting"), (SOURCE, "spool_rejected")),
    }
    with collecting(settings) as sent:
        until(lambda: sampled(settings) >= wanted, f"samples of {wanted} are sent", seconds=60)
    assert sent[0] > 0


def test_with_all_services_down_it_keeps_measuring_and_sends_when_the_broker_is_back(
    pipeline: Settings, tmp_path: Path
) -> None:
    away = pipeline.model_copy(
        update={
            "state": tmp_path,
            "kafka_bootstrap": f"127.0.0.1:{choose(set())}",
            "dsn_metrics": SecretStr("postgresql://a:b@127.0.0.1:1/c"),
            "redis_metrics_url": SecretStr("redis://127.0.0.1:1/0"),
        }
    )
    spool = Spool.of(away, SOURCE)
    with collecting(away) as sent:
        until(lambda: spool.state().waiting >= 30, "samples wait in the spool")
    assert sent == [0]
    kept = {event.value for event in spool.oldest(100_000)}
    with collecting(pipeline.model_copy(update={"state": tmp_path})):
        until(
            lambda: spool.state().oldest_seconds < 5 and not kept & {e.value for e in spool.oldest(10_000)}, "all sent"
        )
    logged = {value for values in values_by_key(pipeline, TOPIC).values() for value in values}
    assert kept <= logged
    assert {msgspec.json.decode(value)["data"].get("value") for value in kept if b'"up"' in value} == {0.0}


def test_a_measurement_that_hangs_or_fails_does_not_delay_others(
    pipeline: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(*_: object) -> Iterator[AppMetricSampled]:
        released.wait(60)
        yield from ()

    def fail(*_: object) -> Iterator[AppMetricSampled]:
        raise ZeroDivisionError

    monkeypatch.setattr(collector.service_probes, "postgresql_up", hang)
    monkeypatch.setattr(collector.queues, "consumer_lag", fail)
    settings = pipeline.model_copy(update={"state": tmp_path})
    with collecting(settings):
        until(lambda: {("host", "cpu_busy"), ("redis", "up")} <= sampled(settings), "the others are measured")
    released.set()


def test_events_that_another_source_left_are_sent(
    pipeline: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check_in: Callable[[int], EncodedEvent]
) -> None:
    monkeypatch.setattr(collector, "LEFTOVER_SECONDS", 0.0)
    settings = pipeline.model_copy(update={"state": tmp_path})
    left = Spool.of(settings, "okr-dags")
    left.append([check_in(1)])
    with collecting(settings):
        until(lambda: left.state().waiting == 0, "the other's event is sent")
    assert sum(map(len, values_by_key(settings, "okr_user_events").values())) == 1
