"""The programs that infra.containers.start starts: their secrets come from files, and never reach a command line."""

import json
import stat
from pathlib import Path

import pytest

from infra.containers import start
from lakehouse.errors import PermanentError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    secrets = {
        "okr_mlflow_store_uri": "postgresql://mlflow:pa55@db:5432/mlflow?sslmode=verify-full\n",
        "okr_mlflow_password": "mlflow-password\n",
        "okr_mlflow_flask_secret": "flask-secret\n",
        "okr_airflow_password": "admin-password\n",
        "okr_airflow_serving_password": "serving-password\n",
        "okr_airflow_landing_password": "landing-password\n",
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(value, encoding="utf-8")
    return tmp_path


def test_mlflow_gets_its_secrets_in_its_environment(folder: Path) -> None:
    variables = start.mlflow_environment(folder)
    assert variables["MLFLOW_AUTH_ADMIN_PASSWORD"] == "mlflow-password"
    assert variables["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql+psycopg2://mlflow:pa55@db:5432/mlflow?")
    assert "sslmode=verify-full" in variables["MLFLOW_BACKEND_STORE_URI"]


def test_airflows_file_of_passwords_is_readable_only_by_its_owner(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    start.write_airflow_passwords(file, folder)
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "admin": "admin-password", "okr-serving": "serving-password", "okr-landing": "landing-password",
    }  # fmt: skip
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_missing_or_empty_secret_is_named(folder: Path, content: str | None) -> None:
    file = folder / "okr_mlflow_password"
    file.unlink()
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(PermanentError, match="okr_mlflow_password"):
        start.mlflow_environment(folder)


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PermanentError, match=r"mlflow, airflow-api-server, migrate, got 'redis'"):
        start.main(["redis"])
