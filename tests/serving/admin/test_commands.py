"""`okr dag`, `okr model`, `okr rate-plan`, `okr forecast-cache` and `okr experiment`, with the API's functions."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from serving.commands import app
from tests.serving.admin.airflow_server import AirflowServer
from tests.serving.admin.operators import OperatorClient

Run = Callable[..., Result]
SETTINGS = (
    "dsn_serving", "dsn_organisation", "redis_url", "jwt_secret", "airflow_url", "airflow_serving_user",
    "airflow_serving_password",
    "mlflow_store_uri", "mlflow_artifacts",
)  # fmt: skip


@pytest.fixture
def okr(operator: OperatorClient, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with the settings of the running application."""
    for name in SETTINGS:
        monkeypatch.setenv(f"OKR_{name.upper()}", operator.api.settings.require(name))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


def test_a_run_is_started_once_and_shown(okr: Run, airflow_of_operator: AirflowServer) -> None:
    airflow_of_operator.reset()
    start = ("dag", "start", "okr_etl_dag", "--conf", '{"accept_raw_batch": true}', "--idempotency-key", "k")
    run_id = okr(*start).stdout.split()[-1]
    assert okr(*start).stdout.strip() == f"Already started: {run_id}"
    assert "not JSON" in str(okr("dag", "start", "okr_etl_dag", "--conf", "{").exception)
    airflow_of_operator.finish(run_id, "failed", {"gate_raw": "failed"})
    assert okr("dag", "runs", "okr_etl_dag").stdout.startswith(f"{run_id}\tfailed")
    assert "gate_raw\tfailed\tIt ended without a message" in okr("dag", "show", "okr_etl_dag", run_id).stdout
    assert run_id in okr("dag", "list").stdout


def test_a_rate_plan_is_changed_and_recorded_with_what_it_replaced(okr: Run, operator: OperatorClient) -> None:
    for burst in ("20", "30"):
        done = okr("rate-plan", "set", "cli", "--per-second", "10.5", "--burst", burst, "--description", "a test")
        assert done.exit_code == 0, done.exception
    assert "cli\t10.5 requests per second, bursts of 30\ta test" in okr("rate-plan", "list").stdout
    recorded = operator.audited("rate_plan.changed")[-1]
    assert (recorded["actor"].startswith("os:"), recorded["subject"]) == (True, "cli")
    assert recorded["details"] == {
        "burst": 30, "burst_before": 20, "requests_per_second": "10.5", "requests_per_second_before": "10.5",
        "description": "a test", "description_before": "a test",
    }  # fmt: skip
    assert operator.get("/audit-log/verification")["is_intact"]


def test_a_version_is_loaded_and_the_cache_is_cleared(okr: Run, operator: OperatorClient) -> None:
    assert "serves on 1 workers" in okr("model", "load", "champion").stdout
    assert "99" in str(okr("model", "load", "99").exception)
    assert operator.audited("model.loaded")[-1]["outcome"] == "failure"
    assert okr("forecast-cache", "clear").stdout.startswith("Deleted ")
    assert okr("forecast-cache", "show").stdout == ""
    assert operator.audited("forecast_cache.cleared")[-1]["actor"].startswith("os:")


def test_an_experiment_is_created_and_stopped_and_both_are_recorded(okr: Run, operator: OperatorClient) -> None:
    assert okr("experiment", "create", "of the command", "--arm", "new=challenger:0.5").exit_code == 0
    assert okr("experiment", "stop", "of the command").exit_code == 0
    for action in ("experiment.created", "experiment.stopped"):
        assert operator.audited(action)[-1]["subject"] == "of the command"
