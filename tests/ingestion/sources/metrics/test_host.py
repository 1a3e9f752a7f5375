"""Metrics of the host."""

from datetime import UTC, datetime
from pathlib import Path

from ingestion.contract_validation import decode, encode
from ingestion.sources.metrics.host import host_name, sample


def test_a_sample_has_each_metric_once_in_its_unit(tmp_path: Path) -> None:
    samples = {data.metric: data for data in sample("h", tmp_path)}

    assert {metric: data.unit for metric, data in samples.items()} == {
        "cpu_busy": "ratio",
        "memory_used": "bytes",
        "disk_used": "bytes",
    }
    assert 0.0 <= samples["cpu_busy"].value <= 1.0
    assert samples["memory_used"].value > 1_000_000


def test_a_sample_is_valid(tmp_path: Path) -> None:
    for data in sample(host_name(), tmp_path):
        event = encode(data, at=datetime.now(UTC), source="test")
        assert decode(event.topic, event.value, event.key).payload == data
