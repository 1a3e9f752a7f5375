import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.services import NAMES, select
from infra.local.stack import prepare_stack
from lakehouse.errors import PermanentError

OKR = str(Path(sys.executable).parent / "okr")
FOR_USERS = {
    "OKR_API_URL", "OKR_AIRFLOW_URL", "OKR_MLFLOW_URL", "OKR_DOCS_URL",
    "OKR_WAREHOUSE_DSN", "OKR_LAKE_URI", "OKR_KAFKA_BOOTSTRAP",
}  # fmt: skip


def _okr(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OKR_STATE": str(state)}
    return subprocess.run([OKR, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_env_prints_seven_addresses_as_shell_assignments(tmp_path: Path) -> None:
    state = tmp_path / "it's a folder"
    stack = prepare_stack(state)
    printed = _okr(state, "env").stdout
    assert all(line.startswith("export ") for line in printed.splitlines())
    names = {word.partition("=")[0] for line in printed.splitlines() for word in shlex.split(line)[1:]}
    assert names == FOR_USERS
    shell = f'{printed}\nprintf %s "$OKR_LAKE_URI|$OKR_WAREHOUSE_DSN"'
    read = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    assert read == f"{state}/lake|{stack.env['OKR_DSN_ANALYST']}"


@pytest.mark.parametrize("command", ["status", "env"])
def test_without_a_stack_the_command_says_how_to_start_one(tmp_path: Path, command: str) -> None:
    answer = _okr(tmp_path, command)
    assert answer.returncode == 1
    assert "Start one with `okr up` (or `make up`)" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_selection_includes_the_services_it_needs() -> None:
    assert select("api") == ("postgres", "kafka", "redis", "api")
    assert set(select("airflow-scheduler")) == {"postgres", *(name for name in NAMES if name.startswith("airflow-"))}
    assert select(None) == NAMES


def test_an_unknown_service_is_reported_with_the_known_names() -> None:
    with pytest.raises(PermanentError, match=r"There is no service 'postgre'\. Known services: postgres, kafka"):
        select("postgre")
