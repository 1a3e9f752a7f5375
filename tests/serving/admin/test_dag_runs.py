"""/admin/dags: the functions of `okr dag`."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import httpx
import pytest

from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from lakehouse.step_failure import StepFailure, record
from serving.dag_runs import airflow as airflow_client
from serving.dag_runs.airflow import Airflow
from serving.errors import NotConfigured
from tests.serving.admin.airflow_server import AirflowServer
from tests.serving.admin.operators import OperatorClient

ETL = "/dags/okr_etl_dag/runs"
ACCEPT = {"conf": {"accept_raw_batch": True}}


@pytest.fixture(autouse=True)
def airflow(airflow_of_operator: AirflowServer) -> Iterator[AirflowServer]:
    airflow_of_operator.reset()
    yield airflow_of_operator
    airflow_of_operator.reset()


def test_a_run_is_started_once_per_idempotency_key_and_watched(
    operator: OperatorClient, airflow: AirflowServer
) -> None:
    key = {"Idempotency-Key": "start the pipeline"}
    first = operator.post(ETL, ACCEPT, status=202, headers=key)
    assert (first["is_new"], first["run"]["state"], first["run"]["conf"]) == (True, "queued", ACCEPT["conf"])
    again = operator.post(ETL, ACCEPT, status=202, headers=key)
    assert again == {**first, "is_new": False}
    assert len(airflow.runs) == 1
    conflict = operator.post(ETL, {}, status=409, headers=key)
    assert conflict["differs"][0]["field"] == "conf"
    without_key = operator.post(ETL, {}, status=202)
    assert without_key["run"]["run_id"] != first["run"]["run_id"]
    assert [each["run_id"] for each in operator.get(ETL)["runs"]] == list(
        reversed([run_id for _, run_id in airflow.runs])
    )
    watched = operator.get(first["status_url"].removeprefix("/admin"))
    assert (watched["run_id"], watched["tasks"]) == (first["run"]["run_id"], [])
    recorded = operator.audited("dag_run.started")[-4:]
    assert [(each["outcome"], each["details"].get("is_new")) for each in recorded] == [
        ("success", True), ("success", False), ("failure", None), ("success", True),
    ]  # fmt: skip


def test_a_repeat_returns_its_run_also_if_the_dag_has_been_paused_since(
    operator: OperatorClient, airflow: AirflowServer
) -> None:
    key = {"Idempotency-Key": "before the pause"}
    first = operator.post(ETL, ACCEPT, status=202, headers=key)
    airflow.paused.add("okr_etl_dag")
    assert operator.post(ETL, ACCEPT, status=202, headers=key) == {**first, "is_new": False}


def test_the_same_request_sent_concurrently_starts_one_run(operator: OperatorClient, airflow: AirflowServer) -> None:
    with ThreadPoolExecutor(4) as threads:
        send = [threads.submit(operator.post, ETL, {}, 202, headers={"Idempotency-Key": "k"}) for _ in range(4)]
        answers = [each.result() for each in send]
    assert sum(each["is_new"] for each in answers) == 1
    assert len(airflow.runs) == 1


def test_a_failed_task_is_shown_with_its_reason(operator: OperatorClient, airflow: AirflowServer) -> None:
    run_id = operator.post(ETL, {}, status=202)["run"]["run_id"]
    airflow.finish(run_id, "failed", {"gate_raw": "failed", "load": "upstream_failed"})
    path = f"{ETL}/{run_id}"
    assert "without a message" in operator.get(path)["tasks"][0]["reason"]
    failure = StepFailure("okr_etl_dag", run_id, "gate_raw", datetime.now(UTC), "81 values are implausible.")
    record(operator.api.settings.require("dsn_transform"), failure)
    watched = operator.get(path)
    assert watched["state"] == "failed"
    assert [(task["task_id"], task["state"], task["reason"]) for task in watched["tasks"]] == [
        ("gate_raw", "failed", "81 values are implausible."), ("load", "upstream_failed", None),
    ]  # fmt: skip


def test_dags_are_listed_with_their_newest_runs(operator: OperatorClient, airflow: AirflowServer) -> None:
    airflow.paused.add("idle_dag")
    run_id = operator.post(ETL, {}, status=202)["run"]["run_id"]
    listed = {each["dag_id"]: each for each in operator.get("/dags")["dags"]}
    assert list(listed) == ["idle_dag", "model_promotion_dag", "okr_etl_dag"]
    assert (listed["idle_dag"]["is_paused"], listed["idle_dag"]["runs"]) == (True, [])
    assert [each["run_id"] for each in listed["okr_etl_dag"]["runs"]] == [run_id]


def test_what_cannot_be_started_is_explained(operator: OperatorClient, airflow: AirflowServer) -> None:
    unknown = operator.post("/dags/okr_etl_dg/runs", {}, status=404)
    assert unknown["similar"] == ["okr_etl_dag"]
    assert "accept_marts_build" in operator.post(ETL, {"conf": {"accept_raw": True}}, status=422)["detail"]
    operator.post(ETL, {"conf": {"accept_raw_batch": {"a": 1}}}, status=422)
    operator.post("/dags/..%2Fusers/runs", {}, status=404)
    operator.get(f"{ETL}/%2E%2E", status=422)
    assert "run 'x'" in operator.get(f"{ETL}/x", status=404)["detail"]
    airflow.paused.add("okr_etl_dag")
    assert "paused" in operator.post(ETL, {}, status=409)["detail"]
    assert airflow.runs == {}


def test_an_expired_login_is_renewed(operator: OperatorClient, airflow: AirflowServer) -> None:
    operator.get("/dags")
    airflow.tokens = []
    operator.get("/dags")
    assert airflow.logins == 2
    airflow.tokens = []
    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(operator.get, "/dags") for _ in range(4)]:
            each.result()
    assert airflow.logins == 3, "threads log in together"


def test_while_airflow_is_away_or_slow_requests_are_answered_in_time(
    operator: OperatorClient, airflow: AirflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.status = 502
    assert "airflow-api-server" in operator.get("/dags", status=503)["detail"]
    airflow.status = None
    client = operator.api.services.admin.dag_runs._airflow._client()
    monkeypatch.setattr(client, "timeout", httpx.Timeout(0.2))
    airflow.delay_s = 1.0
    started = time.monotonic()
    problem = operator.post(ETL, {}, status=503)
    assert time.monotonic() - started < 1
    assert (problem["type"], "Idempotency-Key" in problem["detail"]) == ("urn:okr:problem:unavailable", True)


@pytest.mark.parametrize("has_token", [False, True])
def test_while_airflow_is_frozen_one_request_at_a_time_waits_for_it(
    operated: Settings, airflow: AirflowServer, monkeypatch: pytest.MonkeyPatch, *, has_token: bool
) -> None:
    client = Airflow(operated)
    if has_token:
        client.get("dags")
    monkeypatch.setattr(client._client(), "timeout", httpx.Timeout(0.3))
    airflow.delay_s = 0.5

    def waits_in_vain(_number: int) -> bool:
        started = time.monotonic()
        with pytest.raises(RetryableError):
            client.get("dags")
        return time.monotonic() - started > 0.25

    with closing(client), ThreadPoolExecutor(8) as threads:
        assert waits_in_vain(0)
        assert sum(threads.map(waits_in_vain, range(8))) <= 2, "one tries; a second one if its thread started late"
        airflow.delay_s = 0.0
        assert client.get("dags")["dags"], "it responds again"


def test_threads_share_a_client(operated: Settings) -> None:
    client = Airflow(operated)
    with closing(client), ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _number: id(client._client()), range(8)))) == 1


def test_a_host_without_a_login_says_which_setting_it_lacks(operated: Settings, airflow: AirflowServer) -> None:
    for name in airflow_client.SETTINGS:
        with pytest.raises(NotConfigured, match=f"OKR_{name.upper()}"):
            Airflow(operated.model_copy(update={name: ""})).get("dags")
    wrong = operated.model_copy(update={"airflow_serving_user": "somebody"})
    with pytest.raises(NotConfigured, match="rejects the login 'somebody'"):
        Airflow(wrong).get("dags")
