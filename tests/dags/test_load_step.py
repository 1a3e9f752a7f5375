"""Loaded data is published, and a run that finds everything published ends earlier holds."""

import importlib
import warnings
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from dags.steps import etl
from lakehouse import step_failure
from lakehouse.publishing.hold_reasons import holds
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.dags.landed_events import TOPIC, land, publish

pytestmark = pytest.mark.usefixtures("airflow_home", "great_expectations")


@pytest.fixture(scope="module")
def great_expectations() -> None:
    """Great Expectations, imported here because its import causes warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("great_expectations")


@pytest.fixture
def started_by_landing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Steps of an okr_etl_dag run started by landed events."""
    import airflow.sdk
    from airflow.sdk.api.datamodels._generated import DagRunType

    context = {
        "ti": SimpleNamespace(xcom_push=lambda **_: None),
        "dag_run": SimpleNamespace(run_type=DagRunType.ASSET_TRIGGERED),
        "run_id": "run-2",
        "params": {"accept_raw_batch": False},
    }
    monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: context)
    monkeypatch.setenv("OKR_DSN_LOADER", settings.require("dsn_loader"))
    return settings


def test_a_run_that_finds_everything_published_ends_the_hold_of_a_failed_run(started_by_landing: Settings) -> None:
    """The lake was unavailable at 03:00 without waiting data: the failure was shown until the next publication."""
    from airflow.sdk.exceptions import AirflowSkipException

    settings = started_by_landing
    land(settings, range(1), reason="not json")
    publish(settings, p0=1)
    dsn = settings.require("dsn_transform")
    failure = step_failure.StepFailure("okr_etl_dag", "run-1", "gate_raw", datetime.now(UTC), "the lake is away")
    step_failure.record(dsn, failure)
    assert [hold.kind for hold in holds(dsn)] == ["step"]
    with pytest.raises(AirflowSkipException, match="already published"):
        etl.gate_raw()
    assert holds(dsn) == []


def test_loaded_data_is_built_although_a_later_batch_fails_the_raw_gate(
    started_by_landing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run loads and leaves the build to the next run, or fails; the next batch then fails its gate."""
    from airflow.sdk.exceptions import AirflowFailException

    settings = started_by_landing
    monkeypatch.setattr(etl, "MIN_BACKFILL_ROWS", 5)
    with connect(settings.require("dsn_loader")) as connection:
        connection.execute(
            "INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset) VALUES (%s, 0, 2)", (TOPIC,)
        )
    land(settings, range(500), reason="not json")  # far too many
    dsn = settings.require("dsn_transform")
    end_offsets = etl.gate_raw()
    assert end_offsets == {TOPIC: {"0": 2}}
    assert [hold.gate for hold in holds(dsn)] == ["raw"], "the failure is reported nevertheless"
    assert etl.load(end_offsets)[TOPIC] == 0, "no next run loads the rest, so that this one builds"
    publish(settings, p0=2)
    with pytest.raises(AirflowFailException, match="Nothing was loaded"):
        etl.gate_raw()


def test_during_a_backfill_a_run_loads_and_leaves_the_build_to_the_next_run(
    started_by_landing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marts of a part of a backfill are out of date before they are built, and delay the complete ones."""
    import airflow.sdk
    from airflow.sdk.api.datamodels._generated import DagRunType
    from airflow.sdk.exceptions import AirflowSkipException

    settings = started_by_landing
    monkeypatch.setattr(etl, "MIN_BACKFILL_ROWS", 5)
    land(settings, range(500), reason="not json")
    assert etl.backfill_rows(settings, {TOPIC: {"0": 490}}) == 10
    assert etl.backfill_rows(settings, {TOPIC: {"0": 491}}) == 0  # 9 is less than 2 % of 491
    assert etl.backfill_rows(settings, {TOPIC: {"0": 497}}) == 0
    with pytest.raises(AirflowSkipException, match="10 more rows have landed as part of a backfill"):
        etl.load({TOPIC: {"0": 490}})
    assert etl.load({TOPIC: {"0": 500}})[TOPIC] == 0
    airflow.sdk.get_current_context()["dag_run"].run_type = DagRunType.MANUAL
    assert etl.load({TOPIC: {"0": 100}})[TOPIC] == 0  # a manual run always publishes
