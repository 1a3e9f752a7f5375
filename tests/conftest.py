"""Real services for tests, each started once in its own folder, never the user's stack."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from xdist.scheduler import LoadScopeScheduling

from infra.local.base_service import Service
from infra.local.kafka import SERVER_SETTINGS, Kafka
from infra.local.kafka_jars import fetch
from infra.local.postgres import Postgres
from infra.local.redis import Redis
from infra.local.stack import Stack, prepare_stack
from infra.local.unsupervised import running
from infra.migrations.migrate import migrate
from ingestion.contract_validation import EncodedEvent, encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings, load_settings
from tests.background_logs import BackgroundLog, configure_test_logs
from tests.databases import NewDatabase, database_from, execute_as_superuser
from tests.redis_admin import admin_of
from tests.topics import empty_topics

SHARED_FIXTURES = ("e2e", "serving", "dbt_project", "expectations", "ml")  # expensive fixtures, slowest first
KEPT_VARIABLES = ("OKR_FAULT_TABLE", "OKR_FIGURES")  # files in which tests collect lines for the docs
HALVED = "serving"  # its files and its folders are two groups: as one, they would take longer than all other tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest groups first, so that no worker is left alone with one at the end."""
    order = {name: number for number, name in enumerate(SHARED_FIXTURES)}
    items.sort(key=lambda item: order.get(group_of(item.nodeid).partition("/")[0], len(order)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Run all tests that share expensive fixtures on the same worker of `make test`.

    Marks (`--dist loadgroup`) do not work: pytest-xdist 3.8 writes them to a private field that pytest 9.2 ignores.
    """
    return _ByGroup(config, log)


class _ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the folder below tests/ if its fixtures are shared, else the file."""
    parts = nodeid.partition("::")[0].split("/")[1:]
    if parts[0] not in SHARED_FIXTURES:
        return "/".join(parts)
    return f"{HALVED}/folders" if parts[0] == HALVED and len(parts) > 2 else parts[0]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Remove a developer's OKR_* and PG* variables and state folder, so that no test reaches their data."""
    for name in [name for name in os.environ if name.startswith(("OKR_", "PG")) and name not in KEPT_VARIABLES]:
        del os.environ[name]
    os.environ["OKR_STATE"] = str(tmp_path_factory.mktemp("no-stack"))
    for name in ("NO_PROXY", "no_proxy"):  # a proxy stays for downloads, but not for the servers of tests
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))


def pytest_configure() -> None:
    """Configure logs before the first session fixture starts a server."""
    configure_test_logs()


@pytest.fixture(autouse=True)
def background_log() -> BackgroundLog:
    """What other threads log during the test. Configured again for every test, because Airflow's import changes it."""
    configure_test_logs()
    return BackgroundLog()


@pytest.fixture(scope="session")
def test_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """State folder, ports and secrets that the services below share. Nothing is started yet."""
    return prepare_stack(tmp_path_factory.mktemp("stack"))


@contextmanager
def _settings_while_running(service: Service) -> Iterator[Settings]:
    with running(service):
        yield load_settings(Path(service.stack.state))


@pytest.fixture(scope="session")
def postgres(test_stack: Stack) -> Iterator[Settings]:
    """PostgreSQL with all roles, migrated to the newest revision, as the settings to reach it."""
    server = Postgres(test_stack)
    with _settings_while_running(server) as settings:
        server.after_start()
        migrate(settings.require("dsn_owner"))
        execute_as_superuser(test_stack, "CREATE DATABASE okr_template TEMPLATE okr")
        yield settings


@pytest.fixture(scope="session")
def new_database(test_stack: Stack, postgres: Settings) -> NewDatabase:
    """Return a function that creates a migrated, empty database and drops it, for a test or fixture of any scope."""
    return partial(database_from, "okr_template", test_stack, postgres)


@pytest.fixture
def fresh_database(new_database: NewDatabase) -> Iterator[Settings]:
    """A migrated, empty database for one test; `postgres` is shared by the session."""
    with new_database() as settings:
        yield settings


@pytest.fixture(scope="session")
def kafka(test_stack: Stack) -> Iterator[Settings]:
    """A broker with the four topics of the platform; a test that creates topics must give them unique names."""
    fetch(print)
    broker = Kafka(test_stack)
    with pytest.MonkeyPatch.context() as patch:
        # Tests that kill a worker use a shorter session timeout than the broker's minimum of 6 s.
        patch.setitem(SERVER_SETTINGS, "group.min.session.timeout.ms", "1000")
        with _settings_while_running(broker) as settings:
            broker.after_start()
            yield settings


@pytest.fixture(scope="session")
def redis_server(test_stack: Stack) -> Iterator[Settings]:
    """Redis, empty at first."""
    with _settings_while_running(Redis(test_stack)) as settings:
        yield settings


@pytest.fixture(scope="session")
def redis_admin(test_stack: Stack, redis_server: Settings) -> Iterator[redis.Redis]:
    """A client of Redis that may do everything."""
    with admin_of(test_stack) as client:
        yield client


@pytest.fixture
def pipeline(kafka: Settings, redis_server: Settings, fresh_database: Settings, tmp_path: Path) -> Settings:
    """Settings of an empty pipeline without Airflow."""
    empty_topics(kafka.kafka_bootstrap)
    return fresh_database.model_copy(
        update={
            "kafka_bootstrap": kafka.kafka_bootstrap,
            "redis_url": redis_server.redis_url,
            "redis_state_url": redis_server.redis_state_url,
            "redis_metrics_url": redis_server.redis_metrics_url,
            "lake_uri": str(tmp_path / "lake"),
            "airflow_url": "",
        }
    )


@pytest.fixture
def check_in() -> Callable[[int], EncodedEvent]:
    """Return a valid event by number: key result k<number mod 50>, value <number>, one second after the previous."""
    start = datetime.now(UTC) - timedelta(days=20)  # a million of them take twelve days

    def event(number: int) -> EncodedEvent:
        data = CheckInRecorded(check_in_id=f"c{number}", key_result_id=f"k{number % 50}", value=float(number))
        return encode(data, at=start + timedelta(seconds=number), source="test")

    return event


@pytest.fixture
def producer(pipeline: Settings) -> Iterator[EventProducer]:
    """A producer for the broker of the pipeline."""
    with EventProducer(KafkaConnection.of(pipeline)) as producer:
        yield producer
