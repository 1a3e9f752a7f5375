"""What Airflow's logins may do: the landing worker reads and announces, and does nothing else."""

from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from infra.local.airflow import LOGINS, airflow_environment
from infra.local.airflow_config.okr_auth_manager import OkrAuthManager
from infra.local.stack import prepare_stack

ROLES = {user.removeprefix("OKR_AIRFLOW_").removesuffix("_USER"): role for user, role, _ in LOGINS}
LANDING = SimpleAuthManagerUser(username="okr-landing", role="viewer")


@pytest.fixture(scope="module")
def manager() -> OkrAuthManager:
    return OkrAuthManager()


def test_the_landing_worker_may_read_and_announce(manager: OkrAuthManager) -> None:
    assert ROLES["LANDING"] == LANDING.role
    assert manager.is_authorized_asset(method="GET", user=LANDING)
    assert manager.is_authorized_asset(method="POST", user=LANDING)
    assert manager.is_authorized_dag(method="GET", access_entity=DagAccessEntity.RUN, user=LANDING)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_landing_worker_may_not_change_anything_else(manager: OkrAuthManager, method: str) -> None:
    assert not manager.is_authorized_dag(method=method, access_entity=DagAccessEntity.RUN, user=LANDING)
    assert not manager.is_authorized_connection(method=method, user=LANDING)
    assert not manager.is_authorized_variable(method=method, user=LANDING)
    assert method == "POST" or not manager.is_authorized_asset(method=method, user=LANDING)


def test_another_login_that_only_reads_may_not_announce(manager: OkrAuthManager) -> None:
    for role in ("viewer", "user"):
        other = SimpleAuthManagerUser(username="okr-serving", role=role)
        assert not manager.is_authorized_asset(method="POST", user=other)


def test_airflow_gets_every_login_with_its_role_and_finds_the_class(tmp_path: Path) -> None:
    variables = airflow_environment(prepare_stack(tmp_path))
    users = variables["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert users == "admin:admin,okr-serving:user,okr-landing:viewer"
    module, _, name = variables["AIRFLOW__CORE__AUTH_MANAGER"].partition(".")
    folder = Path(variables["PYTHONPATH"].partition(":")[0])
    assert f"class {name}(" in (folder / f"{module}.py").read_text(encoding="utf-8")
    containers = (Path("infra/containers") / "compose.yaml", Path("infra/containers/kubernetes/base/airflow.env"))
    for file in containers:
        assert users in file.read_text(encoding="utf-8"), file
