"""Fixtures of the fault tests: workers with small batches, and a separate broker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.kafka_consumer import CONSUMER_SETTINGS
from lakehouse.settings import Settings
from tests.dags.zygote import Zygote
from tests.faults.broker import OwnBroker
from tests.faults.topics import Topics
from tests.faults.worker import Worker

# After this time a killed worker's partitions are reassigned; in production 6 s.
SESSION_MS = 2_000
ARM = f"session_timeout({SESSION_MS}); batches_of(200)"

StartWorker = Callable[..., Worker]


@pytest.fixture(autouse=True)
def _short_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the timeout for consumers inside the test's process, as ARM does for workers."""
    monkeypatch.setitem(CONSUMER_SETTINGS, "session.timeout.ms", SESSION_MS)
    monkeypatch.setitem(CONSUMER_SETTINGS, "heartbeat.interval.ms", 500)


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Return a function that starts a command (default `okr consume land`) as a process, killed at the test's end."""
    workers: list[Worker] = []

    def start(settings: Settings, *arguments: str, arm: str = "") -> Worker:
        log = tmp_path / f"worker-{len(workers)}.log"
        worker = Worker(settings, *(arguments or ("consume", "land")), log=log, arm=f"{ARM}\n{arm}")
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.leave()


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    """A broker for tests that delete topics or change them."""
    with OwnBroker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def topics(own_broker: OwnBroker) -> Topics:
    """The four topics, re-created."""
    topics = Topics(own_broker.bootstrap)
    topics.renew()
    return topics


@pytest.fixture
def own(
    own_broker: OwnBroker, topics: Topics, fresh_database: Settings, redis_server: Settings, tmp_path: Path
) -> Settings:
    """An empty pipeline on the module's own broker."""
    others = fresh_database.model_copy(
        update={"redis_url": redis_server.redis_url, "redis_state_url": redis_server.redis_state_url}
    )
    return own_broker.at(others, tmp_path / "lake")


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory, postgres: Settings, dbt_target: Path) -> Iterator[Zygote]:
    """A process that forks children; like the scheduler, it has parsed the dbt project before."""
    settings = postgres.model_copy(update={"dbt_target_dir": dbt_target})
    with Zygote(tmp_path_factory.mktemp("zygote"), settings) as zygote:
        yield zygote


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's parse results are kept between tests, as in a running stack."""
    return tmp_path_factory.mktemp("dbt")
