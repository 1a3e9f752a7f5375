"""The parts of a platform that a test can start and stop one by one, with a metrics collector that measures quickly."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from infra.local.base_service import Service
from infra.local.database_migrations import MlflowDatabase, Warehouse
from infra.local.kafka import Kafka
from infra.local.kafka_jars import fetch
from infra.local.okr_services import Api, LandingWorker
from infra.local.postgres import Postgres
from infra.local.redis import Redis
from infra.local.stack import Stack, prepare_stack
from infra.local.unsupervised import running
from ingestion.sources.metrics.collector import collect
from lakehouse.settings import Settings

STORES = (Postgres, Kafka, Redis)


class Parts:
    """Services of one stack without a supervisor."""

    def __init__(self, state: Path) -> None:
        self.stack: Stack = prepare_stack(state, monitoring=True)
        self._running: dict[str, ExitStack] = {}

    def start(self, kind: type[Service]) -> None:
        """Start a service and wait until it is healthy."""
        service = kind(self.stack)
        context = ExitStack()
        context.enter_context(running(service))
        self._running[kind.name] = context
        service.after_start()

    def stop(self, kind: type[Service]) -> None:
        """Stop a service."""
        self._running.pop(kind.name).close()

    def stop_all(self) -> None:
        """Stop what is still running, the last started service first."""
        for context in reversed(list(self._running.values())):
            context.close()
        self._running.clear()

    def token(self) -> dict[str, str]:
        """Return the headers of an operator."""
        login = {"username": "admin", "password": self.stack.env["OKR_ADMIN_PASSWORD"]}
        answer = httpx.post(f"{self.stack.env['OKR_API_URL']}/auth/token", data=login, timeout=30, trust_env=False)
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


@contextmanager
def parts(state: Path) -> Iterator[Parts]:
    """Start PostgreSQL, Kafka, Redis, the API and landing; stop what still runs at the end."""
    fetch(print)
    platform = Parts(state)
    try:
        for store in STORES:
            platform.start(store)
        for database in (Warehouse, MlflowDatabase):
            database(platform.stack).migrate(lambda: None)
        platform.start(Api)
        platform.start(LandingWorker)
        yield platform
    finally:
        platform.stop_all()


@contextmanager
def collecting(settings: Settings, interval_seconds: float) -> Iterator[None]:
    """Run the metrics collector in a thread."""
    stop = threading.Event()
    worker = threading.Thread(
        target=collect, args=(settings,), kwargs={"interval_seconds": interval_seconds, "stop": stop}
    )
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(60)
