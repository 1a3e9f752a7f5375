"""A finished step becomes an event in the pipeline's topic; its failure is stored for operators."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest

from dags.steps.step_events import SOURCE, record_failure, record_success
from dags.steps.task_adapter import step
from ingestion.spool import Spool
from lakehouse import step_failure
from lakehouse.errors import GateFailed, PermanentError
from lakehouse.publishing.hold_reasons import holds
from lakehouse.settings import Settings
from tests.ingestion.spool.kafka_log import values_by_key

pytestmark = pytest.mark.usefixtures("airflow_home")
STARTED = datetime(2026, 3, 2, 12, tzinfo=UTC)


def as_airflow_gets_it(error: Exception, cause: Exception | None = None) -> Exception:
    """Return the exception that Airflow receives for an error that fails a task."""
    from airflow.sdk.exceptions import AirflowFailException

    @step
    def body() -> None:
        raise error from cause

    with pytest.raises(AirflowFailException) as failed:
        body()
    return failed.value


@pytest.fixture
def ended_step() -> dict[str, Any]:
    """The context that Airflow passes to a callback."""
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


def test_a_finished_step_becomes_an_event_in_the_pipeline_topic(
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
    """A database and a broker that the callbacks find through their settings."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", kafka.kafka_bootstrap)
    monkeypatch.setenv("OKR_DSN_TRANSFORM", fresh_database.require("dsn_transform"))
    return fresh_database


def test_the_failure_of_a_step_is_stored_until_the_step_succeeds(
    warehouse: Settings, ended_step: dict[str, Any]
) -> None:
    dsn = warehouse.require("dsn_serving")
    record_failure(ended_step | {"exception": PermanentError("the lake is damaged")})
    (failure,) = step_failure.failures_of_run(dsn, "okr_etl_dag", "run")
    assert (failure.step, failure.message, failure.failed_at) == ("load", "the lake is damaged", STARTED)
    (hold,) = holds(dsn)
    assert (hold.kind, hold.run_id) == ("step", "run")
    assert "step load failed: the lake is damaged" in str(hold)
    ended_step["ti"].try_number = 3
    record_success(ended_step)
    assert step_failure.failures_of_run(dsn, "okr_etl_dag", "run") == []
    assert holds(dsn) == []


def test_a_stale_failure_is_deleted_by_the_next_success_of_the_step(
    warehouse: Settings, ended_step: dict[str, Any]
) -> None:
    dsn = warehouse.require("dsn_serving")
    record_failure(ended_step | {"exception": PermanentError("the lake is damaged")})
    # The next try succeeds, but its callback is killed. The next run's step succeeds at its first try.
    other = {"run_id": "next", "start_date": STARTED + timedelta(hours=1), "end_date": STARTED + timedelta(hours=1)}
    for dag, task, remaining in (
        ("okr_etl_dag", "dbt", ["load"]),
        ("okr_training_dag", "load", ["load"]),
        ("okr_etl_dag", "load", []),
    ):
        ti = SimpleNamespace(**vars(ended_step["ti"]) | other | {"dag_id": dag, "task_id": task})
        record_success({"ti": ti})
        assert [failure.step for failure in step_failure.failures_of_run(dsn, "okr_etl_dag", "run")] == remaining


def test_a_success_in_another_run_does_not_delete_a_failure(warehouse: Settings, ended_step: dict[str, Any]) -> None:
    before = STARTED - timedelta(hours=1)
    earlier = SimpleNamespace(**vars(ended_step["ti"]) | {"run_id": "other", "start_date": before})
    record_failure(ended_step | {"exception": PermanentError("the lake is damaged")})
    record_success({"ti": earlier})
    assert len(step_failure.failures_of_run(warehouse.require("dsn_serving"), "okr_etl_dag", "run")) == 1


def test_a_failed_gate_stores_its_rules_and_examples_and_a_killed_step_a_message(
    warehouse: Settings, ended_step: dict[str, Any]
) -> None:
    said = "gate raw: FAILED.\n  event: ids_are_complete: expected that ...; 7 at fault, e.g. c-1"
    for error, message in ((as_airflow_gets_it(GateFailed(said)), said), (None, "The step ended without a message")):
        record_failure(ended_step | {"exception": error})
        (failure,) = step_failure.failures_of_run(warehouse.require("dsn_serving"), "okr_etl_dag", "run")
        assert failure.message.startswith(message)


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_event_of_a_failed_step_has_no_data_of_database_rows(
    kafka: Settings,
    postgres: Settings,
    monkeypatch: pytest.MonkeyPatch,
    ended_step: dict[str, Any],
    *,
    wrapped: bool,
) -> None:
    monkeypatch.setenv("OKR_STATE", str(kafka.state))
    with psycopg.connect(postgres.require("dsn_owner")) as connection:
        connection.execute("CREATE TEMPORARY TABLE people (email text CONSTRAINT one_each UNIQUE)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("INSERT INTO people VALUES ('ann@example.com'), ('ann@example.com')")
    error: Exception = caught.value
    assert "ann@example.com" in str(error)
    if wrapped:
        error = as_airflow_gets_it(PermanentError(f"It was not loaded: {error}"), error)
    record_failure(ended_step | {"exception": error})
    message = newest(kafka, "okr_data_pipeline")["data"]["message"]
    assert message == 'duplicate key value violates unique constraint "one_each"'


def test_only_the_first_line_of_other_errors_is_recorded(
    kafka: Settings, monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any]
) -> None:
    monkeypatch.setenv("OKR_STATE", str(kafka.state))
    for error, logged in (
        (PermanentError("fix the settings\nDETAIL: ann@example.com"), "fix the settings"),
        (KeyError(), "KeyError"),
    ):
        record_failure(ended_step | {"exception": error})
        assert newest(kafka, "okr_data_pipeline")["data"]["message"] == logged


def test_an_unavailable_broker_neither_fails_nor_delays_a_step_and_the_next_step_sends_its_event(
    kafka: Settings, monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    started = time.monotonic()
    record_success(ended_step)
    assert time.monotonic() - started < 20
    spool = Spool(tmp_path / "spool", SOURCE)
    (waiting,) = spool.oldest(10)
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", kafka.kafka_bootstrap)
    record_success(ended_step)
    assert spool.state().waiting == 0
    assert newest(kafka, "okr_data_pipeline")["data"]["run_id"] == "run"
    assert waiting.value in values_by_key(kafka, "okr_data_pipeline")[b"run"]


def test_an_unusable_state_folder_fails_no_step(
    monkeypatch: pytest.MonkeyPatch, ended_step: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("OKR_STATE", str(tmp_path / "file"))
    monkeypatch.setenv("OKR_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    record_success(ended_step)
    logged = "".join(capfd.readouterr())
    assert "the event of a step could not be sent" in logged
    assert "Check that this user may write there" in logged
