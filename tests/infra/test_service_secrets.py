"""Each service has only the secrets that it needs in its environment."""

import subprocess
from pathlib import Path

import pytest

from infra.local.services import NAMES, service
from infra.local.stack import Stack, prepare_stack
from lakehouse.settings import load_settings
from tests.infra.service_secrets import ALLOWED, secrets_in

# Optional: `okr produce metrics` measures without database and Redis; the API asks MLflow's store without its password.
REQUIRED = [
    *[("api", f"OKR_{name}") for name in ("DSN_SERVING", "DSN_ORGANISATION", "REDIS_URL", "JWT_SECRET")],
    *[("api", f"OKR_{name}") for name in ("ADMIN_PASSWORD", "LEAD_PASSWORD", "APP_PASSWORD")],
    *[("api", f"OKR_{name}") for name in ("MLFLOW_STORE_URI", "KAFKA_BOOTSTRAP", "API_PORT")],
    *[("land", f"OKR_{name}") for name in ("KAFKA_BOOTSTRAP", "AIRFLOW_LANDING_PASSWORD", "LAKE_URI")],
    *[("state", f"OKR_{name}") for name in ("KAFKA_BOOTSTRAP", "DSN_LOADER", "REDIS_STATE_URL")],
    ("metrics", "OKR_KAFKA_BOOTSTRAP"),
    ("guard", "OKR_PG_SUPERUSER_DSN"),
]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return prepare_stack(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_gets_the_secrets_that_it_needs_and_no_other(stack: Stack, name: str) -> None:
    assert secrets_in(stack, "\n".join(service(name, stack).environment().values())) == ALLOWED[name]


def test_no_service_has_the_owners_login(stack: Stack) -> None:
    """Only migrations use it: `okr up` and `okr migrate`."""
    assert all("PG_OWNER_PASSWORD" not in allowed for allowed in ALLOWED.values())
    assert [name for name, allowed in ALLOWED.items() if "PG_SUPERUSER_PASSWORD" in allowed] == ["guard"]


def test_a_service_reads_no_other_secret_from_stack_env(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(stack.state).require("dsn_owner")
    for name, value in service("land", stack).environment().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.require("kafka_bootstrap") == stack.env["OKR_KAFKA_BOOTSTRAP"]
    assert settings.require("airflow_landing_password") == stack.env["OKR_AIRFLOW_LANDING_PASSWORD"]
    assert not settings.airflow_password.get_secret_value(), "landing does not need the administrator's login"
    assert not settings.dsn_owner.get_secret_value()


@pytest.mark.parametrize(("name", "missing"), REQUIRED)
def test_a_command_without_a_setting_says_in_one_line_which_is_missing(stack: Stack, name: str, missing: str) -> None:
    started = service(name, stack)
    environment = {name: value for name, value in started.environment().items() if name != missing}
    ended = subprocess.run(
        started.command(), env=environment, cwd=stack.state, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode != 0
    (line,) = (line for line in ended.stderr.splitlines() if missing in line)
    assert f"The setting {missing} is missing" in line


def test_a_key_for_personal_fields_goes_only_to_the_services_that_use_it(stack: Stack) -> None:
    env_file = stack.state / "stack.env"
    env_file.write_text(f"{env_file.read_text(encoding='utf-8')}OKR_FIELD_ENCRYPTION_KEY=added\n", encoding="utf-8")
    with_key = prepare_stack(stack.state)
    environments = {name: service(name, with_key).environment() for name in NAMES}
    assert {name for name in NAMES if "added" in environments[name].values()} == {"api", "land", "state"}
    assert environments["land"]["OKR_DSN_LANDING"] == stack.env["OKR_DSN_LANDING"]
