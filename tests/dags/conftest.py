"""An Airflow home for tests, never the user's; Airflow reads its settings when it is imported."""

import os
import warnings
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from tests.dags.zygote import environment_of_airflow


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with its own database and without telemetry."""
    home = tmp_path_factory.mktemp("airflow")
    os.environ |= environment_of_airflow(home)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of Airflow's own imports
        import airflow.dag_processing.dagbag  # noqa: F401
        import cosmos.operators.local  # noqa: F401
    return home


@pytest.fixture
def settings(fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty lake and warehouse that the step finds through its settings."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_LAKE_URI", str(tmp_path / "lake"))
    monkeypatch.setenv("OKR_DSN_TRANSFORM", fresh_database.require("dsn_transform"))
    return fresh_database.model_copy(update={"lake_uri": str(tmp_path / "lake")})
