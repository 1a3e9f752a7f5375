"""What a host says of itself, and what happens to it while the broker is away."""

import threading
import time
from pathlib import Path

from ingestion.events import decode, encode
from ingestion.sources.host_metrics import collect, host_name, sample


def test_a_sample_has_each_metric_once_in_its_unit(tmp_path: Path) -> None:
    samples = {data.metric: data for data in sample("h", tmp_path)}

    assert {metric: data.unit for metric, data in samples.items()} == {
        "cpu_busy": "ratio",
        "memory_used": "bytes",
        "disk_used": "bytes",
    }
    assert 0.0 <= samples["cpu_busy"].value <= 1.0
    assert samples["memory_used"].value > 1_000_000


def test_a_sample_keeps_its_contract(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    for data in sample(host_name(), tmp_path):
        event = encode(data, at=datetime.now(UTC), source="test")
        assert decode(event.topic, event.value, event.key).payload == data


def test_a_broker_that_is_away_stops_nothing_and_stopping_does_not_wait_for_it(tmp_path: Path) -> None:
    stop = threading.Event()
    counts: list[int] = []
    worker = threading.Thread(
        target=lambda: counts.append(collect(bootstrap="127.0.0.1:1", disk=tmp_path, interval_seconds=0.1, stop=stop))
    )
    worker.start()
    time.sleep(1.0)
    assert worker.is_alive()
    stop.set()
    worker.join(timeout=15)
    assert counts == [0]
