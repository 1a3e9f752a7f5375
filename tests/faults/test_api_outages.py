"""PostgreSQL, Redis, Kafka and the model registry, killed and frozen one by one under constant load on the API.

The test runs `okr serve` with two workers on services of its own, and compares every answer with the table in
docs/serving.md. Nothing is restarted afterwards but the service that was away.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from infra.local.postgres import Postgres
from infra.local.stack import prepare_stack
from ingestion.state.redis_figures import RECENT, WRITTEN_AT
from serving.redis_client import redis_client
from tests.faults.api_load import ApiLoad
from tests.faults.broker import OwnBroker
from tests.faults.outage_effects import (
    BY_FEATURES,
    BY_ID,
    CHECK_IN,
    DEPENDENCIES,
    KINDS,
    LIST,
    Sample,
    effect,
    limit_s,
    table,
)
from tests.faults.services import OwnPostgres, OwnRedis, OwnService
from tests.serving.published_organisation import publish, register_two_models, simulated
from tests.serving.worker_processes import okr_serve

DOCS = Path(__file__).parents[2] / "docs" / "serving.md"
OUTAGE_S = 4.0  # at least; until every kind of request is answered as documented
BURST = 100  # more than the slots and the worker threads of both workers


class OwnRegistry(OwnService):
    """PostgreSQL with the database of the model registry alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Postgres(prepare_stack(folder)))

    def start(self) -> None:
        """Start it, with its database."""
        super().start()
        self._service.after_start()


@dataclass(frozen=True)
class Platform:
    """The services and the load on the API that uses them."""

    services: Mapping[str, OwnService]
    load: ApiLoad
    log: Path


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """All services, a published organisation with two models, two workers, and load."""
    folder = tmp_path_factory.mktemp("outages")
    with ExitStack() as stack:
        postgres = stack.enter_context(OwnPostgres(folder / "postgres"))
        own_redis = stack.enter_context(OwnRedis(folder / "redis"))
        registry = stack.enter_context(OwnRegistry(folder / "registry"))
        broker = stack.enter_context(OwnBroker(folder / "kafka"))
        settings = own_redis.instead_of(broker.at(postgres.settings(), folder / "lake")).model_copy(
            update={
                "state": folder / "api",
                "mlflow_store_uri": registry.settings().mlflow_store_uri,
                "mlflow_artifacts": str(folder / "artifacts"),
            }
        )
        settings.state.mkdir()
        publish(settings, simulated(), tmp_path_factory.mktemp("outages-dbt"))
        register_two_models(settings)
        served = stack.enter_context(okr_serve(settings, settings.state, "--workers", "2"))
        load = ApiLoad(f"http://127.0.0.1:{served.port}", settings)
        load.prepare()
        stack.enter_context(confirming_figures(own_redis.settings().require("redis_state_url")))
        services = dict(zip(DEPENDENCIES, (postgres, own_redis, broker, registry), strict=True))
        stack.enter_context(load.running(KINDS))
        yield Platform(services, load, settings.state / "serve.log")


def is_normal(sample: Sample) -> bool:
    """Return whether an answer is that of an API with all of its dependencies."""
    return sample.status in {200, 202} and sample.said not in {"unacknowledged", "degraded"}


@contextmanager
def confirming_figures(redis_url: str) -> Iterator[None]:
    """Confirm the live figures every second, as the state consumer does. Without this, /health would be degraded."""
    stop = threading.Event()

    def confirm() -> None:
        with closing(redis_client(redis_url)) as client:
            while not stop.wait(1):
                with suppress(redis.RedisError):
                    client.hset(WRITTEN_AT, RECENT, str(time.time()))

    thread = threading.Thread(target=confirm, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_requests_are_answered_as_documented_while_a_dependency_is_away(
    platform: Platform, dependency: str, fault: str
) -> None:
    service, load, ready = platform.services[dependency], platform.load, time.monotonic()
    for kind in KINDS:
        load.wait_for(kind, is_normal, ready)
    end, recover = {"killed": (service.kill, service.start), "frozen": (service.freeze, service.thaw)}[fault]
    end()
    start = time.monotonic()
    try:
        for kind in KINDS:
            load.wait_for(kind, effect(dependency, kind).settled, start)
        _check_bursts(platform, dependency, start)
        time.sleep(max(0.0, start + OUTAGE_S - time.monotonic()))
        back = time.monotonic()
    finally:
        recover()
    for kind in KINDS:
        load.wait_for(kind, is_normal, back)
    wrong = [
        sample
        for kind in KINDS
        for sample in load.since(start, kind)
        if sample.sent_at + sample.took_s < back and not effect(dependency, kind).accepts(sample)
    ]
    assert wrong == []
    assert [each for kind in KINDS for each in load.since(start, kind) if each.took_s > limit_s(dependency, kind)] == []


def _check_bursts(platform: Platform, dependency: str, start: float) -> None:
    """Send more requests at once than there are threads. Those that do not need the dependency are not delayed."""
    kind = {"PostgreSQL": LIST, "Kafka": CHECK_IN}.get(dependency)
    if kind is None:
        return
    load = platform.load
    with ThreadPoolExecutor(BURST) as pool:
        burst = [pool.submit(load.ask, kind) for _ in range(BURST)]
        meanwhile = [load.ask(BY_FEATURES), load.ask(BY_ID)]
    assert [each for each in meanwhile if not effect(dependency, each.kind).accepts(each)] == []
    assert {each.result().status for each in burst} == {503 if kind == LIST else 202}


def test_the_documented_table_is_the_one_that_is_tested() -> None:
    assert table() in DOCS.read_text(encoding="utf-8"), table()
