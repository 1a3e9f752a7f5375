import re
from pathlib import Path

import pytest

from infra.local import kafka_jars
from lakehouse.errors import PermanentError, RetryableError


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "okr-lakehouse" / "jars"


def test_every_jar_of_the_lock_has_a_checksum_and_no_address() -> None:
    jars = kafka_jars.jars()
    assert kafka_jars.KAFKA in {jar.coordinate for jar in jars}
    assert kafka_jars.LOG_BRIDGE in {jar.coordinate for jar in jars}
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert "://" not in kafka_jars.LOCK_FILE.read_text(encoding="ascii")


def test_without_a_network_fetch_reports_missing_jars_and_that_a_rerun_continues(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(RetryableError, match=r"could not be downloaded .* run the command again: 46 jars are"):
        kafka_jars.fetch(print)
    assert list(empty_cache.iterdir()) == []


def test_without_a_network_the_stack_starts_without_the_jmx_agent(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    said: list[str] = []
    kafka_jars.fetch_agent(said.append)
    assert "Prometheus gets no metrics of Kafka itself" in said[0]
    assert kafka_jars.agent() is None


def test_missing_jars_are_reported_with_the_command_that_fetches_them(empty_cache: Path) -> None:
    with pytest.raises(PermanentError, match="Run `okr fetch`"):
        kafka_jars.class_path()


def test_a_jar_with_a_wrong_checksum_is_rejected(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "kafka_jars.lock"
    lock.write_text(f"{'0' * 64} org.jspecify:jspecify:1.0.0\n", encoding="ascii")
    monkeypatch.setattr(kafka_jars, "LOCK_FILE", lock)
    with pytest.raises(PermanentError, match="Do not use it"):
        kafka_jars.fetch(print)
    assert list(empty_cache.iterdir()) == []
