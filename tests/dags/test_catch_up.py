"""What no run is going to publish is found by comparison, whatever was announced.

Reported of Airflow: asset events of a paused DAG are forgotten (apache/airflow #38891, #49857), and the newest ones are
ignored where one run at a time is allowed (#56050).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from dags.steps import etl
from dags.steps.catch_up import is_published, start_what_was_missed, unpublished_rows
from lakehouse import step_failure
from lakehouse.lake import landing_schema, table_uri
from lakehouse.publication_hold import holds
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

pytestmark = pytest.mark.usefixtures("airflow_home")
TOPIC = "okr_user_events"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def settings(fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty lake and warehouse, to which the step's own settings lead."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("OKR_LAKE_URI", str(tmp_path / "lake"))
    monkeypatch.setenv("OKR_DSN_TRANSFORM", fresh_database.require("dsn_transform"))
    return fresh_database.model_copy(update={"lake_uri": str(tmp_path / "lake")})


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say how many runs of okr_etl_dag are queued or running, and whether it is paused."""
    import airflow.sdk

    def set_runs(count: int, *, is_paused: bool = False) -> None:
        dag = SimpleNamespace(is_paused=is_paused)
        ti = SimpleNamespace(
            get_dr_count=lambda dag_id, states: count, get_dag=lambda dag_id: dag, xcom_push=lambda **_: None
        )
        monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: {"ti": ti})

    set_runs(0)
    return set_runs


def land(settings: Settings, offsets: range, partition: int = 0, reason: str | None = None) -> None:
    """Append rows to the lake."""
    from deltalake import write_deltalake

    names = landing_schema().names
    rows = [dict.fromkeys(names) | _row(partition, offset, reason) for offset in offsets]
    table = pa.Table.from_pylist(rows, landing_schema())
    uri = table_uri(settings.lake_uri, TOPIC)
    write_deltalake(uri, table, mode="append", partition_by=["event_date"], description="cluster/topic")


def _row(partition: int, offset: int, reason: str | None) -> dict[str, Any]:
    row = {"kafka_partition": partition, "kafka_offset": offset, "logged_at": NOW, "event_date": NOW.date()}
    return row | {"rejection_reason": reason}


def publish(settings: Settings, **offsets: int) -> None:
    """Make a publication of these offsets, by partition, the current one."""
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute("UPDATE ops.publication SET is_current = false")
        covered = ", ".join(f'"{name.removeprefix("p")}": {offset}' for name, offset in offsets.items())
        connection.execute(
            "INSERT INTO ops.publication (published_at, data_as_of, offsets, dbt_run_id, gate, rows, is_current) "
            "VALUES (now(), now(), %s, 'run', '{}', '{}', true)",
            (f'{{"{TOPIC}": {{{covered}}}}}',),
        )


def test_rows_count_as_unpublished_until_the_publication_covers_them_rejected_ones_too(settings: Settings) -> None:
    assert unpublished_rows(settings) == 0
    land(settings, range(3))
    assert unpublished_rows(settings) == 3
    publish(settings, p0=3)
    assert unpublished_rows(settings) == 0
    land(settings, range(3, 4), reason="not json")
    land(settings, range(2), partition=1)
    assert unpublished_rows(settings) == 3
    publish(settings, p0=4, p1=2)
    assert unpublished_rows(settings) == 0


def test_a_run_is_started_for_what_was_missed_and_only_then(settings: Settings, runs: Callable[..., None]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="All that has landed is published"):
        start_what_was_missed()
    land(settings, range(3))
    assert start_what_was_missed() == 3
    runs(1)
    with pytest.raises(AirflowSkipException, match="on its way"):
        start_what_was_missed()


def test_nothing_is_announced_to_a_paused_dag_and_the_first_look_after_its_resumption_starts_it(
    settings: Settings, runs: Callable[..., None]
) -> None:
    """Airflow forgets what is announced while a DAG is paused: each minute would only add an event to its tables."""
    from airflow.sdk.exceptions import AirflowSkipException

    land(settings, range(3))
    runs(0, is_paused=True)
    for _ in range(2):
        with pytest.raises(AirflowSkipException, match="3 landed rows wait: okr_etl_dag is paused"):
            start_what_was_missed()
    dsn = settings.require("dsn_serving")
    assert [hold.because for hold in holds(dsn)] == ["the DAG okr_etl_dag is paused, and 3 landed rows wait for it"]
    runs(0)
    assert start_what_was_missed() == 3
    assert holds(dsn) == [], "the pause is over"


def test_a_decision_on_an_event_starts_a_run_until_a_publication_follows_it(
    settings: Settings, runs: Callable[..., None]
) -> None:
    """`okr quarantine withhold` published nothing until the next event came."""
    from airflow.sdk.exceptions import AirflowSkipException

    land(settings, range(1))
    publish(settings, p0=1)
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute("CREATE TABLE marts.fct_reviewed_event (event_id uuid, rule text, decision text)")
        connection.execute(
            "INSERT INTO ops.event_review (event_id, rule, decision, decided_by) "
            "VALUES ('00000000-0000-0000-0000-000000000001', 'manual', 'withhold', 'ada')"
        )
    assert not is_published(settings, {TOPIC: {0: 1}})
    assert start_what_was_missed() == 1
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute("INSERT INTO marts.fct_reviewed_event SELECT event_id, rule, decision FROM ops.event_review")
    assert is_published(settings, {TOPIC: {0: 1}})
    with pytest.raises(AirflowSkipException, match="All that has landed is published"):
        start_what_was_missed()


def test_after_a_failed_run_it_waits_ten_minutes_and_after_a_rollback_for_the_operator(
    settings: Settings, runs: Callable[..., None]
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    land(settings, range(3))
    dsn, now = settings.require("dsn_transform"), datetime.now(UTC)
    for minutes_ago, is_started in ((1, False), (11, True)):
        failed_at = now - timedelta(minutes=minutes_ago)
        step_failure.record(dsn, step_failure.StepFailure("okr_etl_dag", "run-1", "dbt", failed_at, "a model broke"))
        if is_started:
            assert start_what_was_missed() == 3
        else:
            with pytest.raises(AirflowSkipException, match="step dbt failed: a model broke"):
                start_what_was_missed()
    publish(settings, p0=1)
    with connect(dsn) as connection:
        connection.execute("UPDATE ops.publication SET rolled_back_at = now() - interval '1 hour'")
    with pytest.raises(AirflowSkipException, match="okr publication resume"):
        start_what_was_missed()


def test_a_run_that_a_back_fill_overtakes_loads_and_leaves_the_build_to_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marts of a part are out of date before they are built, and delay those of the whole."""
    import airflow.sdk
    from airflow.sdk.api.datamodels._generated import DagRunType
    from airflow.sdk.exceptions import AirflowSkipException

    run = SimpleNamespace(run_type=DagRunType.ASSET_TRIGGERED)
    ti = SimpleNamespace(xcom_push=lambda **_: None)
    monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: {"ti": ti, "dag_run": run})
    monkeypatch.setenv("OKR_DSN_LOADER", settings.require("dsn_loader"))
    monkeypatch.setattr(etl, "FEWEST_BACKFILLED", 5)
    land(settings, range(500), reason="not json")
    assert etl.backfill_rows(settings, {TOPIC: {"0": 490}}) == 10
    assert etl.backfill_rows(settings, {TOPIC: {"0": 491}}) == 0  # 9 are less than a fiftieth of 491
    assert etl.backfill_rows(settings, {TOPIC: {"0": 497}}) == 0
    with pytest.raises(AirflowSkipException, match="10 rows have landed meanwhile: a back-fill"):
        etl.load({TOPIC: {"0": 490}})
    assert etl.load({TOPIC: {"0": 500}})[TOPIC] == 0
    run.run_type = DagRunType.MANUAL
    assert etl.load({TOPIC: {"0": 100}})[TOPIC] == 0  # whoever starts a run by hand gets a publication
