"""`okr config connect` does not try servers that a host does not use: the settings of all hosts are the same."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.configuration import commands, connections
from lakehouse.configuration.connections import attempts
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.settings import Settings

UNIT = "okr-airflow-api-server.service"
CLOSED = "http://127.0.0.1:9/airflow"  # nothing listens on this port


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server's units, none of which is enabled."""
    (tmp_path / "okr.target.wants").mkdir()
    (tmp_path / "okr.target").touch()
    monkeypatch.setattr(connections, "UNITS", tmp_path)
    return tmp_path


def results(**settings: object) -> list[tuple[str, bool | None]]:
    return [(each.setting, each.is_connected) for each in attempts(Settings.model_validate(settings))]


def test_a_host_without_a_user_of_kafka_does_not_try_it():
    kafka = {"kafka_bootstrap": "127.0.0.1:9", "kafka_security_protocol": SecurityProtocol.SASL_SSL}
    without_pages = {"airflow_url": "", "mlflow_url": ""}
    assert results(**kafka, **without_pages) == [("OKR_KAFKA_BOOTSTRAP", None)]
    assert results(**kafka, kafka_user="okr-land", **without_pages) == [("OKR_KAFKA_BOOTSTRAP", False)]


def test_a_page_on_loopback_is_tried_where_its_unit_is_enabled(server: Path):
    assert results(airflow_url=CLOSED, mlflow_url="") == [("OKR_AIRFLOW_URL", None)]
    (server / "okr.target.wants" / UNIT).symlink_to("/etc/systemd/system/" + UNIT)
    assert results(airflow_url=CLOSED, mlflow_url="") == [("OKR_AIRFLOW_URL", False)]


def test_a_page_of_another_host_and_one_of_a_local_stack_are_tried(server: Path):
    assert results(airflow_url="https://other.invalid/airflow", mlflow_url="") == [("OKR_AIRFLOW_URL", False)]
    (server / "okr.target").unlink()
    assert results(airflow_url=CLOSED, mlflow_url="") == [("OKR_AIRFLOW_URL", False)]


@pytest.mark.usefixtures("server")
def test_what_is_not_tried_is_shown_and_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    found = Settings.model_validate({"airflow_url": CLOSED, "mlflow_url": ""})
    monkeypatch.setattr("lakehouse.settings.load_settings", lambda: found)
    run = CliRunner().invoke(commands.app, ["config", "connect"])
    assert (run.exit_code, run.stdout) == (
        0,
        f"-     OKR_AIRFLOW_URL  {CLOSED}  not tried: {UNIT} is not enabled on this host\n",
    )
