"""`okr produce spool`: show the spools and send their events."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.contract_validation import EncodedEvent
from ingestion.spool import Spool
from lakehouse.settings import Settings
from tests.ingestion.crash import OKR, environment_of

Events = Callable[[int], EncodedEvent]


def run(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*OKR, "produce", "spool", *arguments],
        env=environment_of(settings, settings.state), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def spool(tmp_path: Path, check_in: Events) -> Spool:
    """A spool with two waiting events and one rejected."""
    spool = Spool.of(Settings(state=tmp_path), "okr-api")
    places = spool.append([check_in(number) for number in range(3)])
    spool.settle([], {places[1]: "Broker: Message size too large"})
    return spool


def test_status_shows_waiting_and_rejected_events_by_source(spool: Spool, tmp_path: Path) -> None:
    lines = run(Settings(state=tmp_path), "status").stdout.splitlines()
    assert lines[1].split()[:3] == ["okr-api", "2", "1"]
    assert "rejected permanently: okr-api okr_user_events position 2: Broker: Message size too large" in lines[2]
    document = json.loads(run(Settings(state=tmp_path), "status", "--json").stdout)
    assert (document["okr-api"]["waiting"], document["okr-api"]["rejected"]) == (2, 1)
    assert document["okr-api"]["rejected_events"][0]["position"] == 2


def test_drain_sends_waiting_events_and_on_request_rejected_ones(
    pipeline: Settings, spool: Spool, tmp_path: Path
) -> None:
    settings = pipeline.model_copy(update={"state": tmp_path})
    assert run(settings, "drain").stdout == "okr-api: 2 sent\n"
    assert (spool.state().waiting, spool.state().rejected) == (0, 1)
    assert run(settings, "drain", "--rejected").stdout == "okr-api: 1 sent\n"
    assert (spool.state().waiting, spool.state().rejected) == (0, 0)


def test_drain_without_a_broker_fails_with_one_clear_line(spool: Spool, tmp_path: Path) -> None:
    answer = run(Settings(state=tmp_path, kafka_bootstrap="127.0.0.1:1"), "drain", "--seconds", "1")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("okr: No Kafka broker answered at 127.0.0.1:1")
    assert "rdkafka" not in answer.stderr, "no log lines of the client library"
    assert spool.state().waiting == 2
