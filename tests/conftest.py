"""Real services for tests, each started once in a folder of its own, never the user's stack."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from xdist.scheduler import LoadScopeScheduling

from infra.local.base_service import Service
from infra.local.kafka import SERVER_SETTINGS, Kafka
from infra.local.kafka_jars import fetch
from infra.local.postgres import Postgres
from infra.local.redis import Redis
from infra.local.stack import Stack, prepare_stack
from infra.local.unsupervised import running
from infra.migrations.migrate import migrate
from ingestion.event_codec import EncodedEvent, encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.settings import Settings, load_settings
from tests.background_logs import BackgroundLog, configure_test_logs
from tests.topics import empty_topics

SHARED_FIXTURES = ("e2e", "serving", "dbt_project", "expectations", "ml")  # their fixtures take long; longest first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups come first, so that no worker is left alone with one at the end."""
    order = {name: number for number, name in enumerate(SHARED_FIXTURES)}
    items.sort(key=lambda item: order.get(group_of(item.nodeid), len(order)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """For `make test`'s workers: what shares costly fixtures stays on one of them.

    Not by marks (`--dist loadgroup`): pytest-xdist 3.8 writes them to a private field that pytest 9.2 no longer reads.
    """
    return _ByGroup(config, log)


class _ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the folder below tests/ whose fixtures are shared, else the file."""
    parts = nodeid.partition("::")[0].split("/")[1:]
    return parts[0] if parts[0] in SHARED_FIXTURES else "/".join(parts)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither a developer's OKR_DSN_OWNER nor the state folder of their own stack must lead a test into their data."""
    for name in [name for name in os.environ if name.startswith(("OKR_", "PG")) and name != "OKR_FAULT_TABLE"]:
        del os.environ[name]
    os.environ["OKR_STATE"] = str(tmp_path_factory.mktemp("no-stack"))
    for name in ("NO_PROXY", "no_proxy"):  # a proxy stays for downloads, but no test talks to its servers through one
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
    """PostgreSQL with all roles, migrated to the newest revision; the settings that reach it."""
    server = Postgres(test_stack)
    with _settings_while_running(server) as settings:
        server.after_start()
        migrate(settings.require("dsn_owner"))
        _superuser(test_stack, "CREATE DATABASE okr_template TEMPLATE okr")
        yield settings


@pytest.fixture(scope="session")
def new_database(test_stack: Stack, postgres: Settings) -> Callable[[], AbstractContextManager[Settings]]:
    """Return what makes a migrated, empty database (0.1 s) and drops it; for a test or fixture of any scope."""

    @contextmanager
    def database() -> Iterator[Settings]:
        name = f"okr_{uuid.uuid4().hex[:12]}"
        _superuser(test_stack, f"CREATE DATABASE {name} TEMPLATE okr_template OWNER okr_owner")
        _superuser(test_stack, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        _superuser(test_stack, f"GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {name} TO okr_transform")
        _superuser(test_stack, f"GRANT CONNECT ON DATABASE {name} TO okr_loader, okr_serving, okr_analyst")
        dsns = ("dsn_owner", "dsn_loader", "dsn_transform", "dsn_serving", "dsn_analyst")
        try:
            yield postgres.model_copy(
                update={dsn: SecretStr(postgres.require(dsn).rpartition("/")[0] + f"/{name}") for dsn in dsns}
            )
        finally:
            _superuser(test_stack, f"DROP DATABASE {name} WITH (FORCE)")

    return database


@pytest.fixture
def fresh_database(new_database: Callable[[], AbstractContextManager[Settings]]) -> Iterator[Settings]:
    """Settings of a migrated, empty database of one test alone; `postgres` is shared by the session."""
    with new_database() as settings:
        yield settings


def _superuser(stack: Stack, statement: str) -> None:
    with psycopg.connect(stack.env["OKR_PG_SUPERUSER_DSN"], autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def kafka(test_stack: Stack) -> Iterator[Settings]:
    """A broker with the platform's four topics; give topics of your own a name of their own."""
    fetch(print)
    broker = Kafka(test_stack)
    with pytest.MonkeyPatch.context() as patch:
        # Tests that kill a worker let its partitions wait for less than the broker's least, 6 s.
        patch.setitem(SERVER_SETTINGS, "group.min.session.timeout.ms", "1000")
        with _settings_while_running(broker) as settings:
            broker.after_start()
            yield settings


@pytest.fixture(scope="session")
def redis_server(test_stack: Stack) -> Iterator[Settings]:
    """Redis, empty at first."""
    with _settings_while_running(Redis(test_stack)) as settings:
        yield settings


@pytest.fixture
def pipeline(kafka: Settings, redis_server: Settings, fresh_database: Settings, tmp_path: Path) -> Settings:
    """Settings of an empty pipeline without an Airflow to announce to."""
    empty_topics(kafka.kafka_bootstrap)
    return fresh_database.model_copy(
        update={
            "kafka_bootstrap": kafka.kafka_bootstrap,
            "redis_url": redis_server.redis_url,
            "lake_uri": str(tmp_path / "lake"),
            "airflow_url": "",
        }
    )


@pytest.fixture
def check_in() -> Callable[[int], EncodedEvent]:
    """A good event by number: key result k<number mod 50>, value <number>, one second after the number before."""
    begun = datetime.now(UTC) - timedelta(days=20)  # a million of them are twelve days

    def event(number: int) -> EncodedEvent:
        data = CheckInRecorded(check_in_id=f"c{number}", key_result_id=f"k{number % 50}", value=float(number))
        return encode(data, at=begun + timedelta(seconds=number), source="test")

    return event


@pytest.fixture
def producer(pipeline: Settings) -> Iterator[EventProducer]:
    """A producer to the pipeline's broker."""
    with EventProducer(pipeline.kafka_bootstrap) as producer:
        yield producer
