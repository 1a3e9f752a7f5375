"""The application over an empty database: nothing is published, so that it starts within seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from lakehouse.settings import Settings
from serving.auth import passwords
from serving.auth.accounts import Account
from serving.auth.actor import Actor
from serving.auth.assignment import Assignment
from serving.auth.auth_services import Auth, build_auth
from serving.auth.roles import Role
from serving.warehouses import Warehouses
from tests.databases import NewDatabase
from tests.polling import until
from tests.serving.live_server import Api, serving

PASSWORD = "correct horse battery staple"
OPERATOR = Actor("os:operator")


@pytest.fixture(scope="package")
def empty(
    new_database: NewDatabase, redis_server: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of an installation without data and without a broker."""
    folder = tmp_path_factory.mktemp("auth")
    with new_database() as database:
        yield database.model_copy(
            update={
                "state": folder,
                "sites_dir": folder / "sites",
                "kafka_bootstrap": "127.0.0.1:9",
                "redis_url": redis_server.redis_url,
                "mlflow_store_uri": SecretStr(f"sqlite:///{folder}/mlflow.db"),
                "mlflow_artifacts": str(folder / "artifacts"),
            }
        )


@pytest.fixture(scope="package")
def running_api(empty: Settings) -> Iterator[Api]:
    """The application, started once for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "MEMORY_KIB", 1024)  # a twentieth of the time
        with serving(empty) as api:
            keys = api.services.auth.signing_keys  # a thread loads them, because the API also starts without PostgreSQL
            until(lambda: bool(keys.jwks()["keys"]), "the signing keys are loaded")
            yield api


@pytest.fixture
def auth(api: Api) -> Auth:
    """The services of the running application."""
    return api.services.auth


@pytest.fixture
def other_worker(empty: Settings, api: Api) -> Iterator[Auth]:
    """The services of a second worker of the same installation."""
    warehouses = Warehouses.from_settings(empty)
    with redis.Redis.from_url(empty.require("redis_url")) as client:
        worker = build_auth(empty.model_copy(update={"state": Path(empty.state, "worker-2")}), warehouses, client)
        warehouses.open()
        worker.signing_keys.prepare()
        worker.watch.start()
        yield worker
        worker.watch.stop()
        warehouses.close()


def new_account(auth: Auth, username: str, role: Role = Role.MEMBER, assignment: Assignment | None = None) -> Account:
    """Create an account with PASSWORD."""
    return auth.account_changes.create(username, role, PASSWORD, assignment or Assignment(), OPERATOR)


def log_in(api: Api, username: str, password: str = PASSWORD) -> dict[str, str]:
    """Log in as an app and return the grant."""
    answer = api.client.post("/auth/token", json={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    grant: dict[str, str] = answer.json()
    return grant


def status(api: Api, token: str, path: str = "/auth/me") -> int:
    """Return the status of a request with a bearer token."""
    answer = api.client.get(path, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code
