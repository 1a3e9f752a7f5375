"""The edge to Airflow: what is retried, what ends the task, what a step leaves behind."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest
from pydantic import SecretStr

from dags.steps import parsed
from dags.steps.catalog import fingerprint, is_current
from dags.steps.champion import champion_version
from dags.steps.edge import step
from dags.steps.record import SOURCE, record_failure, record_success
from ingestion.spool import Spool
from lakehouse import step_failure
from lakehouse.errors import GateFailed, PermanentError, RetryableError
from lakehouse.publication_hold import holds
from lakehouse.settings import Settings, load_settings
from lakehouse.warehouse import connect
from ml.registry import CHAMPION, MODEL_NAME
from ml.registry_store import client
from tests.ingestion.spool.log import values_by_key

pytestmark = pytest.mark.usefixtures("airflow_home")
STARTED = datetime(2026, 3, 2, 12, tzinfo=UTC)


def raising(error: Exception) -> Callable[[], None]:
    @step
    def body() -> None:
        raise error

    return body


def test_what_may_pass_is_left_to_airflow_s_retries() -> None:
    with pytest.raises(RetryableError, match="broker is away"):
        raising(RetryableError("broker is away"))()


def raising_from(error: Exception, cause: Exception) -> Callable[[], None]:
    @step
    def body() -> None:
        raise error from cause

    return body


@pytest.mark.parametrize("error", [PermanentError("mend the settings"), GateFailed("three rules broke")])
def test_what_will_not_pass_ends_the_task_with_its_message(error: PermanentError) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=str(error)):
        raising(error)()


def test_a_bug_is_no_verdict_and_keeps_its_own_face() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())()


def test_a_step_keeps_its_name_and_its_parameters() -> None:
    import inspect

    from dags.steps import etl

    assert etl.load.__name__ == "load"
    assert list(inspect.signature(etl.load).parameters) == ["upto"]


@pytest.fixture
def ended_step() -> dict[str, Any]:
    """What Airflow hands to a callback."""
    ti = SimpleNamespace(
        dag_id="okr_etl_dag", task_id="load", run_id="run", start_date=STARTED, end_date=STARTED, try_number=1,
        xcom_pull=lambda task_ids, key: 7,
    )  # fmt: skip
    return {"ti": ti, "exception": None}


def newest(settings: Settings, topic: str) -> dict[str, Any]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "test", "enable.auto.commit": False}
    )
    try:
        places = [TopicPartition(topic, p) for p in consumer.list_topics(topic, timeout=10).topics[topic].partitions]
        for place in places:
            place.offset = max(consumer.get_watermark_offsets(place, timeout=10)[1] - 1, 0)
        consumer.assign(places)
        found = [message for message in consumer.consume(len(places), timeout=5) if not message.error()]
        return msgspec.json.decode(max(found, key=lambda message: message.timestamp()[1]).value())
    finally:
        consumer.close()


def test_a_step_that_ended_is_an_event_of_the_pipeline_s_topic(
    kafka: Settings, monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any]
) -> None:
    monkeypatch.setenv("OKR_STATE", str(kafka.state))
    record_success(ended_step)
    event = newest(kafka, "okr_data_pipeline")
    assert event["type"] == "okr.pipeline_step.finished.v1"
    assert {k: event["data"][k] for k in ("pipeline", "step", "run_id", "state", "rows", "message")} == {
        "pipeline": "okr_etl_dag", "step": "load", "run_id": "run", "state": "success", "rows": 7, "message": None,
    }  # fmt: skip
    record_failure(ended_step | {"exception": GateFailed("three rules broke")})
    event = newest(kafka, "okr_data_pipeline")
    assert (event["data"]["state"], event["data"]["message"]) == ("failed", "three rules broke")


@pytest.fixture
def warehouse(fresh_database: Settings, kafka: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A database and a broker to which the callbacks' own settings lead."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", kafka.kafka_bootstrap)
    monkeypatch.setenv("OKR_DSN_TRANSFORM", fresh_database.require("dsn_transform"))
    return fresh_database


def test_whoever_waits_for_a_run_finds_its_failed_step_until_it_has_succeeded(
    warehouse: Settings, ended_step: dict[str, Any]
) -> None:
    dsn = warehouse.require("dsn_serving")
    record_failure(ended_step | {"exception": PermanentError("the lake is damaged")})
    (failure,) = step_failure.of_run(dsn, "okr_etl_dag", "run")
    assert (failure.step, failure.message, failure.failed_at) == ("load", "the lake is damaged", STARTED)
    (hold,) = holds(dsn)
    assert (hold.kind, hold.run_id) == ("step", "run")
    assert "step load failed: the lake is damaged" in str(hold)
    ended_step["ti"].try_number = 3
    record_success(ended_step)
    assert step_failure.of_run(dsn, "okr_etl_dag", "run") == []
    assert holds(dsn) == []


def test_a_gate_that_refused_says_its_rules_and_examples_and_a_step_that_was_killed_says_that(
    warehouse: Settings, ended_step: dict[str, Any]
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    said = "gate raw: FAILED.\n  event: ids_are_complete: expected that ...; 7 at fault, e.g. c-1"
    with pytest.raises(AirflowFailException) as failed:
        raising(GateFailed(said))()
    for error, message in ((failed.value, said), (None, "It ended without a word")):
        record_failure(ended_step | {"exception": error})
        (failure,) = step_failure.of_run(warehouse.require("dsn_serving"), "okr_etl_dag", "run")
        assert failure.message.startswith(message)


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_record_of_a_failed_step_holds_no_row_of_the_database(
    kafka: Settings,
    postgres: Settings,
    monkeypatch: pytest.MonkeyPatch,
    ended_step: dict[str, Any],
    *,
    wrapped: bool,
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("OKR_STATE", str(kafka.state))
    with psycopg.connect(postgres.require("dsn_owner")) as connection:
        connection.execute("CREATE TEMPORARY TABLE people (email text CONSTRAINT one_each UNIQUE)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("INSERT INTO people VALUES ('ann@example.com'), ('ann@example.com')")
    error: Exception = caught.value
    assert "ann@example.com" in str(error)
    if wrapped:
        with pytest.raises(AirflowFailException) as failed:
            raising_from(PermanentError(f"It was not loaded: {error}"), error)()
        error = failed.value
    record_failure(ended_step | {"exception": error})
    message = newest(kafka, "okr_data_pipeline")["data"]["message"]
    assert message == 'duplicate key value violates unique constraint "one_each"'


def test_of_an_error_without_a_database_the_first_line_is_recorded(
    kafka: Settings, monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any]
) -> None:
    monkeypatch.setenv("OKR_STATE", str(kafka.state))
    for error, told in (
        (PermanentError("mend the settings\nDETAIL: ann@example.com"), "mend the settings"),
        (KeyError(), "KeyError"),
    ):
        record_failure(ended_step | {"exception": error})
        assert newest(kafka, "okr_data_pipeline")["data"]["message"] == told


def test_a_broker_that_is_away_neither_breaks_nor_holds_up_the_step_and_the_next_step_sends_its_event(
    kafka: Settings, monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    begun = time.monotonic()
    record_success(ended_step)
    assert time.monotonic() - begun < 20
    spool = Spool(tmp_path / "spool", SOURCE)
    (waiting,) = spool.oldest(10)
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", kafka.kafka_bootstrap)
    record_success(ended_step)
    assert spool.state().waiting == 0
    assert newest(kafka, "okr_data_pipeline")["data"]["run_id"] == "run"
    assert waiting.value in values_by_key(kafka, "okr_data_pipeline")[b"run"]


def test_a_state_folder_that_cannot_be_used_breaks_no_step(
    monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("OKR_STATE", str(tmp_path / "file"))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    record_success(ended_step)
    told = "".join(capfd.readouterr())
    assert "step not recorded yet" in told
    assert "May this user write there?" in told


@pytest.fixture
def registry(fresh_database: Settings, tmp_path: Path) -> Settings:
    """A database that MLflow may make its tables in."""
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
    """Run a server that gives one answer to everything; the address of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
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
    monkeypatch.setattr("ml.registry.resolve", lambda *_: "store")
    with answering(status, body) as url:
        assert champion_version(Settings(mlflow_url=url)) == expected
    assert champion_version(Settings(mlflow_url=url)) == "store"


def test_the_docs_site_is_current_until_a_file_of_the_project_changes(tmp_path: Path) -> None:
    project, site = tmp_path / "project", tmp_path / "site"
    project.mkdir()
    site.mkdir()
    (project / "model.sql").write_text("select 1", encoding="utf-8")
    assert not is_current(project, site)
    (site / "project.sha256").write_text(fingerprint(project), encoding="ascii")
    assert is_current(project, site)
    (project / "model.yml").write_text("description: new", encoding="utf-8")
    assert not is_current(project, site)


def test_the_project_parsed_ahead_serves_only_the_project_and_the_warehouse_that_it_was_parsed_for(
    postgres: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing takes no warehouse; the login only names the database."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_DSN_TRANSFORM", postgres.require("dsn_transform"))
    monkeypatch.setenv("OKR_DBT_TARGET_DIR", str(tmp_path / "dbt"))
    parsed.parse()
    settings = load_settings()
    found = parsed.manifest(settings)
    assert found is not None
    assert "model.okr_lakehouse.mart_okr_scorecard" in found.nodes
    elsewhere = settings.require("dsn_transform").rpartition("/")[0] + "/another"
    assert parsed.manifest(settings.model_copy(update={"dsn_transform": SecretStr(elsewhere)})) is None
    monkeypatch.setattr(parsed, "fingerprint", lambda _project: "changed")
    assert parsed.manifest(settings) is None


def test_without_settings_nothing_is_parsed_ahead_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setattr(parsed, "_kept", {})
    parsed.parse()
    assert parsed.manifest(load_settings()) is None
