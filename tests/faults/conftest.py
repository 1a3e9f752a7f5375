"""What the fault tests share: workers of small batches, and what the lake holds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.reader import CONSUMER_SETTINGS
from lakehouse.settings import Settings
from tests.faults.worker import Worker

# A killed worker's partitions wait this long for the next one; in production 6 s.
SESSION_MS = 2_000
ARM = f"session_timeout({SESSION_MS}); batches_of(200)"

StartWorker = Callable[..., Worker]


@pytest.fixture(autouse=True)
def _short_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the consumers inside the test's own process, as ARM does it for workers."""
    monkeypatch.setitem(CONSUMER_SETTINGS, "session.timeout.ms", SESSION_MS)
    monkeypatch.setitem(CONSUMER_SETTINGS, "heartbeat.interval.ms", 500)


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Return what starts `okr consume land` (or what is named) as a process, killed at the latest with the test."""
    workers: list[Worker] = []

    def start(settings: Settings, *arguments: str, arm: str = "") -> Worker:
        log = tmp_path / f"worker-{len(workers)}.log"
        worker = Worker(settings, *(arguments or ("consume", "land")), log=log, arm=f"{ARM}\n{arm}")
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.leave()
