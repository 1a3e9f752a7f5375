"""Kafka's definitions: which hosts have them, and whether they fit the lake."""

import base64
from pathlib import Path

import pytest

from infra.backup import kafka
from infra.backup.lake import TableVersion
from infra.backup.point import PARTS
from infra.backup.run import wanted_parts
from lakehouse.settings import Settings

CLUSTER = "Sx0uuw1pTTmlLsHc2wrGkQ"
TOPIC_ID = bytes.fromhex("fbef0123456789abcdef0123456789ff")


def definitions(data: Path) -> Path:
    """Write the files of a broker that has one topic."""
    log = data / "__cluster_metadata-0"
    log.mkdir(parents=True)
    (data / "meta.properties").write_text(f"version=1\ncluster.id={CLUSTER}\nnode.id=1\n", encoding="ascii")
    (log / "00000000000000000000.log").write_bytes(b"records" + TOPIC_ID + b"records")
    return data


def table(topic_id: bytes, cluster: str = CLUSTER) -> TableVersion:
    """A table of the lake whose log has this topic id, which clients show in plain base64."""
    return TableVersion(3, f"{cluster}/{base64.b64encode(topic_id).decode().rstrip('=')}", {0: 10})


def test_definitions_fit_a_lake_only_if_they_have_its_cluster_and_each_of_its_topics(tmp_path: Path) -> None:
    data = definitions(tmp_path)
    known = table(TOPIC_ID)
    assert kafka.foreign_tables(data, {"events": known}) == []
    assert kafka.foreign_tables(data, {"events": known, "newer": table(bytes(16))}) == ["newer"]
    assert kafka.foreign_tables(data, {"events": table(TOPIC_ID, "another")}) == ["events"]


@pytest.mark.parametrize("has_definitions", [True, False])
def test_all_parts_are_without_kafka_on_a_host_that_has_no_definitions(tmp_path: Path, has_definitions: bool) -> None:
    """As on a server whose broker is on another host: `okr backup run` must make a recovery point there."""
    settings = Settings(state=tmp_path)
    if has_definitions:
        definitions(tmp_path / "kafka" / "data")
    assert wanted_parts(settings, None) == frozenset(PARTS) - (set() if has_definitions else {"kafka"})
    assert wanted_parts(settings, ["settings"]) == {"settings", "wal", "lake"}


def test_a_folder_that_the_settings_name_is_never_left_out(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, backup_kafka_data=str(tmp_path / "unmounted"))
    assert "kafka" in wanted_parts(settings, None)
