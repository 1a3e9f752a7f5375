"""The workers as processes, started and terminated as by the supervisor."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from deltalake import DeltaTable

from ingestion import commands
from ingestion.contract_validation import EncodedEvent
from ingestion.producer import EventProducer
from lakehouse.errors import NEEDS_INTERVENTION, RetryableError
from lakehouse.lake import table_uri
from lakehouse.settings import Settings

OKR = [sys.executable, "-c", "from lakehouse.cli import main; main()"]


def start(settings: Settings, state: Path, *arguments: str) -> "subprocess.Popen[str]":
    names = ("kafka_bootstrap", "lake_uri", "redis_state_url", "dsn_loader")
    environment = os.environ | {f"OKR_{name.upper()}": settings.require(name) for name in names}
    return subprocess.Popen(
        [*OKR, *arguments], env=environment | {"OKR_STATE": str(state)}, stderr=subprocess.PIPE, text=True
    )


def landed_rows(settings: Settings) -> int:
    uri = table_uri(settings.lake_uri, "okr_user_events")
    return DeltaTable(uri).to_pyarrow_dataset().count_rows() if DeltaTable.is_deltatable(uri) else 0


@pytest.mark.parametrize("worker", ["land", "state"])
def test_a_terminated_worker_exits_with_status_0(
    worker: str, pipeline: Settings, producer: EventProducer, check_in: Callable[[int], EncodedEvent], tmp_path: Path
) -> None:
    for number in range(100):
        producer.send(check_in(number))
    producer.flush()
    process = start(pipeline, tmp_path, "consume", worker)
    deadline = time.monotonic() + 60
    while worker == "land" and landed_rows(pipeline) < 100:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if worker == "state":
        time.sleep(5)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log


def test_a_worker_without_a_broker_reports_it_and_waits(pipeline: Settings, tmp_path: Path) -> None:
    alone = pipeline.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    process = start(alone, tmp_path, "consume", "land")
    assert process.stderr is not None
    line = process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)
    assert "127.0.0.1:1" in line or "refused" in line


def test_the_pause_is_reset_after_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return False

    # Start and failure times: three short runs, one of a minute and a half, and the start of the last one.
    clock = iter([0, 1, 1, 2, 2, 3, 10, 100, 100])
    runs = iter(range(4))

    def work(_stop: threading.Event) -> int:
        if next(runs, None) is None:
            return 0
        raise RetryableError("the broker is unavailable")

    monkeypatch.setattr(commands, "threading", SimpleNamespace(Event=Stop))
    monkeypatch.setattr(commands, "signal", SimpleNamespace(SIGTERM=0, SIGINT=0, signal=lambda *_: None))
    monkeypatch.setattr(commands, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    commands._keep_running(work, drain=False)
    for pause, longest in zip(pauses, [1.0, 2.0, 4.0, 1.0], strict=True):
        assert longest / 2 <= pause <= longest


def test_an_unexpected_exception_ends_the_worker_so_that_the_supervisor_restarts_it():
    code = "from ingestion.commands import _keep_running; _keep_running(lambda stop: 1 / 0, drain=False)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode not in (0, NEEDS_INTERVENTION)
    assert "ZeroDivisionError" in ended.stderr
