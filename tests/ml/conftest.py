"""A small simulated organisation with a published feature mart, and an empty MLflow store per test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from ingestion.loading.direct import copy_into_raw
from ingestion.sources.simulator import messages, organisation, scale_of
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml.feature_mart import read_history
from ml.feature_rows import Rows
from ml.hyperparameters import Hyperparameters
from ml.mlflow_client import client, registered_model
from ml.model_registry import MODEL_NAME
from tests.dbt_process import run_dbt
from tests.publications import publish_build

AS_OF = datetime(2026, 2, 15, tzinfo=UTC)
TOPIC = "okr_user_events"


def load_simulation(settings: Settings) -> None:
    """Insert the valid user events of the simulation into raw, in the order in which they were sent."""
    sent = enumerate(messages(organisation(7, scale_of("small")), AS_OF))
    valid = ((offset, m.event) for offset, m in sent if m.kind != "malformed" and m.event.topic == TOPIC)
    copy_into_raw(settings, TOPIC, (_raw(offset, orjson.loads(event.value)) for offset, event in valid))


def _raw(offset: int, event: dict[str, Any]) -> tuple[Any, ...]:
    recorded_at = event["recordedtime"]
    position, kind = (0, offset, recorded_at, event["id"]), (event["type"], event["source"], event["subject"])
    return *position, *kind, event["time"], recorded_at, False, orjson.dumps(event["data"]).decode()


def build_features(settings: Settings, target: Path) -> None:
    """Build the feature mart, and the marts that are read with it or that a publication needs."""
    run_dbt(settings, target, "run", "--select", "+path:models/ml", "+dim_key_result", "+dim_cycle")


@pytest.fixture(scope="session")
def published(
    new_database: Callable[[], AbstractContextManager[Settings]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a database whose feature mart was published. Tests only read it."""
    with new_database() as settings:
        load_simulation(settings)
        build_features(settings, tmp_path_factory.mktemp("dbt"))
        publish_build(settings)
        yield settings


@pytest.fixture(scope="session")
def history(published: Settings) -> Rows:
    """All feature rows with their outcomes."""
    with connect(published.require("dsn_serving")) as connection:
        return read_history(connection)


@pytest.fixture(scope="session")
def hyperparameters() -> Hyperparameters:
    """Few rounds: the quality of the model is not tested."""
    return Hyperparameters(rounds=20, thresholds=5)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store, which is only copied: to create its tables takes MLflow longer than most of the tests."""
    store = tmp_path_factory.mktemp("mlflow") / "store.db"
    with client(Settings(mlflow_store_uri=SecretStr(f"sqlite:///{store}"))) as mlflow:
        assert registered_model(mlflow, MODEL_NAME) is None
    return store


@pytest.fixture
def settings(published: Settings, empty_store: Path, tmp_path: Path) -> Settings:
    """The published mart, and an empty MLflow store in a folder with a space in its name."""
    home = tmp_path / "ml flow"
    home.mkdir()
    shutil.copy(empty_store, home / "store.db")
    store = SecretStr(f"sqlite:///{home / 'store.db'}")
    return published.model_copy(update={"mlflow_store_uri": store, "mlflow_artifacts": str(home / "artifacts")})
