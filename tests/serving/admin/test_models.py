"""/admin/models: promotion and rollback, and the audit of loads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ml import champion
from ml.mlflow_client import client, create_registered_model_once
from ml.model_registry import MODEL_NAME
from tests.serving.admin.airflow_server import AirflowServer
from tests.serving.admin.operators import OperatorClient

PATH = f"/models/{MODEL_NAME}"


@contextmanager
def registry(operator: OperatorClient) -> Iterator[Any]:
    with client(operator.api.settings) as mlflow:
        yield mlflow


@pytest.fixture
def three_champions(operator: OperatorClient) -> Iterator[None]:
    """Versions 1, 2 and 3, each of which was the champion. They have no files, so workers keep the prior."""
    with registry(operator) as mlflow:
        create_registered_model_once(mlflow, MODEL_NAME, "a test")
        for version in ("1", "2", "3"):
            mlflow.create_model_version(MODEL_NAME, source="file:///nowhere")
            champion.set_champion(operator.api.settings, version)
        yield
        mlflow.delete_registered_model(MODEL_NAME)


@pytest.mark.usefixtures("three_champions")
def test_a_rollback_and_its_repeat_say_what_changed(operator: OperatorClient) -> None:
    assert operator.get(f"{PATH}/champions") == {"current": "3", "earlier": ["2", "1"]}
    rolled_back = {"champion": "1", "champion_before": "3", "is_changed": True}
    assert operator.post(f"{PATH}/rollback", {"to": "1"}) == rolled_back
    assert champion.champion_version(operator.api.settings) == "1"
    again = {"champion": "1", "champion_before": "1", "is_changed": False}
    assert operator.post(f"{PATH}/rollback", {"to": "1"}) == again
    assert "not champion before" in operator.post(f"{PATH}/rollback", {"to": "9"}, status=409)["detail"]
    for body in ({}, {"to": "champion"}, {"to": 1}, {"to": "1", "force": True}):
        operator.post(f"{PATH}/rollback", body, status=422)
    recorded = operator.audited("model.rolled_back")
    assert [(each["outcome"], each["details"].get("is_changed")) for each in recorded] == [
        ("success", True), ("success", False), ("failure", None),
    ]  # fmt: skip


def test_a_promotion_is_started_once_and_its_decision_is_shown(
    operator: OperatorClient, airflow_of_operator: AirflowServer
) -> None:
    airflow_of_operator.reset()
    key = {"Idempotency-Key": "promote 2"}
    started = operator.post(f"{PATH}/promote", {"version": "2"}, status=202, headers=key)
    assert operator.post(f"{PATH}/promote", {"version": "2"}, status=202, headers=key) == {**started, "is_new": False}
    [((dag_id, run_id), run)] = airflow_of_operator.runs.items()
    assert (dag_id, run["conf"]) == ("model_promotion_dag", {"version": "2"})
    path = started["status_url"].removeprefix("/admin")
    assert (operator.get(path)["outcome"], operator.get(path)["run"]["state"]) == (None, "queued")
    airflow_of_operator.finish(run_id, "success", {"promote": "success"}, return_value="kept", reason="It is worse.")
    decided = operator.get(path)
    assert (decided["outcome"], decided["reason"]) == ("kept", "It is worse.")
    airflow_of_operator.finish(run_id, "failed", {"promote": "failed"})
    assert "without a message" in operator.get(path)["reason"]
    for version in ("champion", "x", "-1", 2):
        operator.post(f"{PATH}/promote", {"version": version}, status=422)
    assert len(airflow_of_operator.runs) == 1


def test_other_models_have_no_champions(operator: OperatorClient) -> None:
    for path, body in (("rollback", {"to": "1"}), ("promote", {})):
        assert "similar" in operator.post(f"/models/okr_key_result_forcast/{path}", body, status=404)
    operator.get("/models/unknown/champions", status=404)
    operator.get(f"{PATH}/promotions/unknown", status=404)


def test_a_load_is_recorded_whether_it_succeeds_or_fails(operator: OperatorClient) -> None:
    send = operator.api.client.post
    path = f"/models/{MODEL_NAME}/load"
    assert send(path, json={"version": "99"}, headers=operator.headers).status_code == 404
    assert send(path, json={"alias": "champion"}, headers=operator.headers).status_code == 200
    failed, loaded = operator.audited("model.loaded")[-2:]
    assert (failed["outcome"], failed["subject"], failed["details"]["reference"]) == ("failure", MODEL_NAME, "99")
    assert (loaded["outcome"], loaded["address"]) == ("success", "127.0.0.1")
    expected = {"reference": "champion", "reference_before": "champion", "version": None, "is_loaded": True}
    assert loaded["details"] == expected
