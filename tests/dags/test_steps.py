"""The adapter to Airflow (retries, failures), and what the steps ask of MLflow and dbt."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from dags.steps import dbt_manifest, etl
from dags.steps.dbt_docs import fingerprint, is_current
from dags.steps.task_adapter import step
from lakehouse.errors import GateFailed, PermanentError, RetryableError
from lakehouse.publishing.publication import current
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import connect
from ml.champion import CHAMPION, champion_version
from ml.mlflow_client import client
from ml.model_registry import MODEL_NAME
from tests.lakehouse.marts import build, load_one_event
from tests.publications import passed

pytestmark = pytest.mark.usefixtures("airflow_home")


def raising(error: Exception) -> Callable[[], None]:
    @step
    def body() -> None:
        raise error

    return body


def test_retryable_errors_are_left_to_airflow_s_retries() -> None:
    with pytest.raises(RetryableError, match="broker is unavailable"):
        raising(RetryableError("broker is unavailable"))()


@pytest.mark.parametrize("error", [PermanentError("fix the settings"), GateFailed("three rules broke")])
def test_permanent_errors_fail_the_task_with_their_message(error: PermanentError) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=str(error)):
        raising(error)()


def test_unexpected_exceptions_are_not_converted() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())()


def test_a_decorated_step_keeps_its_name_and_signature() -> None:
    from airflow.sdk import DAG, task

    @step
    def load(end_offsets: int, limit: int = 2) -> int:
        """Load."""
        return end_offsets + limit

    assert load(1) == 3
    assert load(end_offsets=1, limit=5) == 6
    with DAG("test_dag"):
        made = task(load)(7).operator
        with pytest.raises(TypeError, match="end_offsets"):
            task(load)()
    assert made.task_id == "load"
    assert made.python_callable(*made.op_args, **made.op_kwargs) == 9


@pytest.fixture
def registry(fresh_database: Settings, tmp_path: Path) -> Settings:
    """A database in which MLflow may create its tables."""
    owner = fresh_database.require("dsn_owner")
    with connect(owner) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS public")
        connection.execute("GRANT ALL ON SCHEMA public TO okr_owner")
    uri = SecretStr(owner.replace("postgresql://", "postgresql+psycopg2://"))
    return fresh_database.model_copy(update={"mlflow_store_uri": uri, "mlflow_artifacts": str(tmp_path)})


def test_the_champion_is_named_once_there_is_one(registry: Settings) -> None:
    assert champion_version(registry) is None  # MLflow has no tables yet
    with client(registry) as mlflow:
        mlflow.create_registered_model(MODEL_NAME)
        version = mlflow.create_model_version(MODEL_NAME, source=f"{registry.mlflow_artifacts}/model")
        assert champion_version(registry) is None
        mlflow.set_registered_model_alias(MODEL_NAME, CHAMPION, version.version)
    assert champion_version(registry) == str(version.version)


@contextmanager
def answering(status: int, body: object) -> Iterator[str]:
    """Run a server that always gives the same response; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:  # a failing test must not leave the thread running: the process would never end
        server.shutdown()
        thread.join()
        server.server_close()


NO_ALIAS = {"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias champion not found."}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [(200, {"model_version": {"version": "7"}}, "7"), (400, NO_ALIAS, None), (401, {}, "store"), (200, [], "store")],
)
def test_mlflows_server_is_asked_for_the_champion_and_its_store_where_it_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, status: int, body: object, expected: str | None
) -> None:
    monkeypatch.setattr("ml.champion.resolve", lambda *_: "store")
    with answering(status, body) as url:
        assert champion_version(Settings(mlflow_url=url), query_server=True) == expected
    assert champion_version(Settings(mlflow_url=url), query_server=True) == "store"


def test_publishing_twice_gives_the_same_publication_with_the_champion_s_version(
    fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_DSN_TRANSFORM", fresh_database.require("dsn_transform"))
    load_one_event(fresh_database)
    build(fresh_database, 1)
    with answering(200, {"model_version": {"version": "7"}}) as url:
        monkeypatch.setenv("OKR_MLFLOW_URL", url)
        assert [etl.publish(passed("run-1")) for _ in range(2)] == [1, 1]
    published = current(fresh_database.require("dsn_transform"))
    assert published is not None
    assert (published.publication_id, published.model_version) == (1, "7")


def test_the_docs_site_is_up_to_date_until_a_project_file_changes(tmp_path: Path) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    project.mkdir()
    site.mkdir()
    (project / "model.sql").write_text("select 1", encoding="utf-8")
    assert not is_current(project, site)
    (site / "project.sha256").write_text(fingerprint(project), encoding="ascii")
    assert is_current(project, site)
    (project / "model.yml").write_text("description: new", encoding="utf-8")
    assert not is_current(project, site)


def test_the_manifest_is_used_only_for_the_project_and_warehouse_that_it_was_parsed_for(
    postgres: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing needs no warehouse; the login only names the database."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_DSN_TRANSFORM", postgres.require("dsn_transform"))
    monkeypatch.setenv("OKR_DBT_TARGET_DIR", str(tmp_path / "dbt"))
    dbt_manifest.parse()
    settings = load_settings()
    found = dbt_manifest.manifest(settings)
    assert found is not None
    assert "model.okr_lakehouse.mart_okr_scorecard" in found.nodes
    elsewhere = settings.require("dsn_transform").rpartition("/")[0] + "/another"
    assert dbt_manifest.manifest(settings.model_copy(update={"dsn_transform": SecretStr(elsewhere)})) is None
    monkeypatch.setattr(dbt_manifest, "fingerprint", lambda _project: "changed")
    assert dbt_manifest.manifest(settings) is None


def test_without_settings_nothing_is_parsed_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setattr(dbt_manifest, "_parsed", {})
    dbt_manifest.parse()
    assert dbt_manifest.manifest(load_settings()) is None
