"""The whole stack from the point of view of its users. The tests run in this order, on one stack."""

import contextlib
import json
import shlex
import stat
import time
from datetime import UTC, datetime

import httpx
import psutil
import psycopg
import pytest

from dags.steps.catch_up import unpublished_rows
from infra.demo.errors import StepFailed
from infra.demo.etl_watch import Watch
from infra.local.processes import stack_processes
from infra.local.supervisor import Supervisor
from ingestion.contract_validation import encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.ids import uuid7
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.publishing import publication
from tests.e2e.running_stack import analyst, run_okr, wait_until
from tests.infra.service_secrets import ALLOWED, secrets_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ETL = "okr_etl_dag"
ANNOUNCED_WITHIN_S = 5.0  # after landing; longer than the interval between announcements
MARTS = "SELECT count(*), sum(check_in_count) FROM marts.mart_okr_scorecard"


def current(running):
    return publication.current(running.settings.require("dsn_serving"))


def test_the_demo_prints_a_summary(running):
    for words in (
        "produced",
        "rows per mart",
        "Quality gates",
        "Least likely to be achieved",
        "Time and memory",
        "Peak memory",
        "make down",
    ):
        assert words in running.output
    assert "okr_user_events" in running.output


def test_each_process_of_a_service_has_the_secrets_of_the_service_and_no_other(running):
    states = Supervisor(running.stack).states()
    assert states.keys() == ALLOWED.keys()
    for name, state in states.items():
        started = psutil.Process(state["pid"])
        for process in (started, *started.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                environment = "\n".join(process.environ().values())
                assert secrets_in(running.stack, environment) <= ALLOWED[name], (name, process.name())


def test_okr_env_prints_a_shell_assignment_for_each_address(running):
    values = dict(line.removeprefix("export ").split("=", 1) for line in running.okr("env").splitlines())
    assert set(values) == {
        "OKR_API_URL", "OKR_AIRFLOW_URL", "OKR_MLFLOW_URL", "OKR_DOCS_URL", "OKR_WAREHOUSE_DSN", "OKR_LAKE_URI",
        "OKR_KAFKA_BOOTSTRAP",
    }  # fmt: skip
    assert shlex.split(values["OKR_LAKE_URI"]) == [running.settings.lake_uri]


def test_the_analysts_login_reads_only_marts(running):
    assert analyst(running, MARTS)[0][0] > 100
    for table in ("raw.okr_user_events", "app.users", "ops.publication", "ml.key_result_features"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst(running, f"SELECT * FROM {table}")


def test_the_ledger_adds_up(running):
    ledger = json.loads(running.okr("lake", "verify", "--json"))
    assert ledger["passed"]
    events = ledger["topics"]["okr_user_events"]
    assert events["produced"] == events["landed"] == events["rejected"] + events["loaded"] + events["waiting"]
    assert events["rejected"] > 0
    assert events["duplicates"] > 0


def test_nothing_listens_beyond_loopback(running):
    listening = set()
    for process in stack_processes(running.stack):
        with contextlib.suppress(psutil.NoSuchProcess):  # such as a task that has just ended
            listening |= {
                connection.laddr.ip
                for connection in process.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            }
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_the_audit_of_the_stack_finds_nothing(running):
    results = {each["check"]: each for each in json.loads(running.okr("installation", "audit", "--json"))}
    assert {name for name, each in results.items() if each["not_checked"]} == {"kafka"}  # it has no logins here


def test_secrets_are_readable_only_by_their_owner(running):
    for name in ("stack.env",):
        assert stat.S_IMODE((running.stack.state / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("api_url", "/"),
        ("api_url", "/catalog/"),
        ("api_url", "/quality/"),
        ("api_url", "/v1/publication"),
        ("api_url", "/models"),
        ("airflow_url", "/api/v2/dags"),
        ("mlflow_url", "/api/2.0/mlflow/experiments/search?max_results=1"),
    ],
)
def test_without_a_login_no_data_is_shown(running, setting, path):
    answer = httpx.get(running.settings.require(setting) + path, timeout=20)
    assert answer.status_code in {303, 401, 403}


def test_the_scorecard_page_shows_key_results_at_risk(running):
    with httpx.Client(base_url=running.settings.api_url, timeout=30, follow_redirects=True) as browser:
        origin = {"Origin": running.settings.api_url}
        form = {"username": "lead", "password": running.settings.require("lead_password")}
        page = browser.post("/login", data=form, headers=origin)
        assert page.status_code == 200
        page = browser.get("/")
        assert "Likely to be missed" in page.text
        assert "Data as of" in page.text
        assert "//cdn" not in page.text


def test_an_operator_starts_and_watches_runs_through_the_api_whose_login_may_do_nothing_else(running):
    settings = running.settings
    model, user = "/admin/models/okr_key_result_forecast", settings.airflow_serving_user
    with httpx.Client(base_url=settings.api_url, timeout=30) as api:
        login = {"username": "admin", "password": settings.require("admin_password")}
        api.headers["Authorization"] = f"Bearer {api.post('/auth/token', json=login).json()['access_token']}"
        champion = api.get(f"{model}/champions").json()["current"]
        key = {"Idempotency-Key": "promote the champion"}
        first, again = (api.post(f"{model}/promote", json={"version": champion}, headers=key).json() for _ in range(2))
        assert (first["is_new"], again["is_new"], first["run"]["run_id"]) == (True, False, again["run"]["run_id"])
        wait_until(
            "the gate has decided", lambda: api.get(first["status_url"]).json()["outcome"] is not None, limit_s=120
        )
        decided = api.get(first["status_url"]).json()
        assert (decided["outcome"], "already the champion" in decided["reason"]) == ("kept", True), decided
        unknown = api.post(f"{model}/promote", json={"version": "999"}).json()
        wait_until(
            "the run has failed", lambda: api.get(unknown["status_url"]).json()["run"]["state"] == "failed", limit_s=120
        )
        assert "no version" in api.get(unknown["status_url"]).json()["reason"]
        assert api.post("/admin/dags/okr_etl_dag/runs", json={"conf": {"accept_raw_batch": "yes"}}).status_code == 422
        dags = {each["dag_id"]: each for each in api.get("/admin/dags").json()["dags"]}
        assert {"okr_etl_dag", "model_promotion_dag", "catch_up_dag"} <= set(dags)
        assert dags["model_promotion_dag"]["runs"][0]["run_id"] == unknown["run"]["run_id"]
    with httpx.Client(base_url=settings.airflow_url, timeout=20) as airflow_api:
        login = {"username": user, "password": settings.require("airflow_serving_password")}
        token = airflow_api.post("/auth/token", json=login).json()["access_token"]
        airflow_api.headers["Authorization"] = f"Bearer {token}"
        for path in ("connections", "variables"):
            assert airflow_api.get(f"/api/v2/{path}").status_code == 403, path
        assert airflow_api.post("/api/v2/pools", json={"name": "x", "slots": 1}).status_code == 403
    assert first["run"]["run_id"] in running.okr("dag", "runs", "model_promotion_dag")


def test_an_implausible_batch_is_never_published_and_the_old_publication_is_unchanged(running, airflow):
    before, rows = current(running), analyst(running, MARTS)
    # So many implausible rows suggest a wrong unit; fewer than 50 are only flagged and block nothing.
    key_results = [row[0] for row in analyst(running, "SELECT key_result_id FROM marts.mart_okr_scorecard LIMIT 80")]
    now = datetime.now(UTC)
    with EventProducer(KafkaConnection.of(running.settings), client_id="implausible") as producer:
        for key_result in key_results:
            absurd = CheckInRecorded(check_in_id=str(uuid7()), key_result_id=key_result, value=9e14)
            producer.send(encode(absurd, at=now, source="test/implausible"))
    wait_until(
        "the raw gate has failed",
        lambda: airflow.runs(ETL, 1)[0].state == "failed",
        limit_s=180,
    )
    # Waiting for the publication fails immediately, with the step, the rule and an example.
    with pytest.raises(StepFailed, match=r"(?s)gate_raw of okr_etl_dag failed.*progress.*expected that .*e\.g\."):
        Watch(airflow, lambda _detail: None, now)()
    assert "Held since" in (status := " ".join(running.okr("status").split()))
    assert "gate raw: okr_user_events: " in status
    assert run_okr(running.stack.state, "gate", "raw").returncode == 1
    assert current(running) == before
    assert analyst(running, MARTS) == rows
    assert httpx.get(running.settings.api_url + "/health", timeout=20).status_code == 200


def test_an_operator_can_accept_the_batch_and_roll_back_to_the_previous_publication(running, airflow):
    before = current(running)
    airflow.wait(airflow.start("okr_etl_dag", {"accept_raw_batch": True}), 240, lambda _detail: None)
    accepted = current(running)
    assert accepted.publication_id > before.publication_id
    assert f"publication_id={before.publication_id}" in running.okr("publication", "rollback")
    assert current(running).publication_id == before.publication_id
    assert "resumed" in running.okr("publication", "resume")
    # After the rollback the batch counts as unpublished again, so the gate checks it again.
    airflow.wait(airflow.start("okr_etl_dag", {"accept_marts_build": True}), 240, lambda _detail: None)
    assert current(running).publication_id > accepted.publication_id


def test_events_landed_while_the_dag_is_paused_are_published_after_the_pause_without_another_event(running, airflow):
    """Airflow forgets an asset event of a paused DAG: apache/airflow #38891, #49857."""
    wait_until("no run is active", lambda: airflow.runs(ETL, 1)[0].state not in {"queued", "running"})
    key_result = analyst(running, "SELECT key_result_id FROM marts.mart_okr_scorecard LIMIT 1")[0][0]
    check_in = CheckInRecorded(check_in_id=str(uuid7()), key_result_id=key_result, value=1.0)
    airflow.pause(ETL)
    try:
        with EventProducer(KafkaConnection.of(running.settings), client_id="while-paused") as producer:
            producer.send(encode(check_in, at=datetime.now(UTC), source="test/pause"))
        wait_until("it has landed", lambda: unpublished_rows(running.settings) > 0)
        time.sleep(ANNOUNCED_WITHIN_S)
    finally:
        airflow.pause(ETL, is_paused=False)
    query = f"SELECT 1 FROM marts.fct_check_in WHERE check_in_id = '{check_in.check_in_id}'"
    wait_until("it is published", lambda: analyst(running, query), limit_s=120)


def test_down_ends_all_processes_and_keeps_the_state(running):
    running.okr("down")
    assert stack_processes(running.stack) == []
    ours = {int(value) for name, value in running.stack.env.items() if name.startswith(("OKR_PORT_", "OKR_API_PORT"))}
    taken = {c.laddr.port for c in psutil.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN}
    assert not ours & taken
    assert (running.stack.state / "lake").is_dir()
    assert run_okr(running.stack.state, "down").returncode == 0
