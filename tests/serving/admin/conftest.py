"""The application on a database of its own, which its operators may change."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from pydantic import SecretStr

from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from tests.databases import NewDatabase
from tests.lakehouse.marts import load_one_event, publish_with
from tests.serving.admin.airflow_server import LOGIN, AirflowServer, airflow_server
from tests.serving.admin.operators import OperatorClient
from tests.serving.live_server import serving

FLAGGED = [UUID(int=number) for number in range(1, 6)]
REVIEWED = """
CREATE TABLE marts_build.fct_reviewed_event AS
SELECT
    event_id, 'implausible_progress' AS rule, 'too much' AS reason, event_type, subject, occurred_at, logged_at,
    NULL::text AS decision, NULL::text AS note, kafka_offset % 2 = 0 AS is_withheld
FROM raw.okr_user_events
WHERE kafka_offset < 10
"""
GATE_RESULT = """
INSERT INTO ops.gate_result (gate, run_id, passed, checked_rows, expectations, failed, report)
VALUES (%s, %s, %s, 10, 3, %s, '{"suites": []}')
"""


@pytest.fixture(scope="session")
def airflow_of_operator() -> Iterator[AirflowServer]:
    """The Airflow of the application."""
    with airflow_server() as server:
        yield server


@pytest.fixture(scope="session")
def operated(
    new_database: NewDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: Settings,
    kafka: Settings,
    airflow_of_operator: AirflowServer,
) -> Iterator[Settings]:
    """Settings of a warehouse with three publications, five flagged events and three gate results."""
    folder = tmp_path_factory.mktemp("operated")
    with new_database() as database:
        settings = database.model_copy(
            update={
                "state": folder,
                "lake_uri": str(folder / "lake"),
                "mlflow_store_uri": SecretStr(f"sqlite:///{folder}/mlflow.db"),
                "mlflow_artifacts": str(folder / "artifacts"),
                "airflow_url": airflow_of_operator.url,
                "airflow_serving_user": LOGIN["username"],
                "airflow_serving_password": SecretStr(LOGIN["password"]),
            }
        )
        load_one_event(settings)
        with connect(settings.require("dsn_loader")) as connection:
            for offset, event_id in enumerate(FLAGGED):
                connection.execute(
                    "INSERT INTO raw.okr_user_events VALUES (0, %s, now(), %s, 'okr.page.viewed.v1', 's', 'u', now(), "
                    "now(), false, '{}')", (offset, event_id)
                )  # fmt: skip
        for value in (1, 2, 3):
            publish_with(settings, value, REVIEWED)
        with connect(settings.require("dsn_transform")) as connection:
            for gate, run_id, passed in (("raw", "a", True), ("marts", "a", False), ("marts", "b", True)):
                connection.execute(GATE_RESULT, (gate, run_id, passed, 0 if passed else 1))
        model_registry.resolve(settings, "champion")  # creates the tables of the registry
        yield settings


@pytest.fixture(scope="session")
def operator(operated: Settings) -> Iterator[OperatorClient]:
    """An operator's client of the running application."""
    with serving(operated) as api:
        yield OperatorClient(api)
