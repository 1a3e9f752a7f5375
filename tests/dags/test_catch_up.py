"""Unpublished data that no run will publish is found by comparison, without announcements.

Airflow drops asset events of a paused DAG (apache/airflow #38891, #49857) and ignores the newest ones if only one
run at a time is allowed (#56050).
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from dags.steps.catch_up import is_published, start_catch_up_run, unpublished_rows
from lakehouse import step_failure
from lakehouse.publishing.hold_reasons import holds
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.dags.landed_events import TOPIC, land, publish

pytestmark = pytest.mark.usefixtures("airflow_home")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set how many runs of okr_etl_dag are queued or running, and whether it is paused."""
    import airflow.sdk

    def set_runs(count: int, *, is_paused: bool = False) -> None:
        dag = SimpleNamespace(is_paused=is_paused)
        ti = SimpleNamespace(
            get_dr_count=lambda dag_id, states: count, get_dag=lambda dag_id: dag, xcom_push=lambda **_: None
        )
        monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: {"ti": ti})

    set_runs(0)
    return set_runs


def test_rows_including_rejected_ones_count_as_unpublished_until_the_publication_covers_them(
    settings: Settings,
) -> None:
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


def test_a_run_is_started_only_if_landed_rows_are_unpublished(settings: Settings, runs: Callable[..., None]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="Everything is published"):
        start_catch_up_run()
    land(settings, range(3))
    assert start_catch_up_run() == 3
    runs(1)
    with pytest.raises(AirflowSkipException, match="queued or running"):
        start_catch_up_run()


def test_a_paused_dag_is_not_started_until_the_first_check_after_it_is_resumed(
    settings: Settings, runs: Callable[..., None]
) -> None:
    """Airflow drops announcements to a paused DAG, so each minute would only add an event to its tables."""
    from airflow.sdk.exceptions import AirflowSkipException

    land(settings, range(3))
    runs(0, is_paused=True)
    for _ in range(2):
        with pytest.raises(AirflowSkipException, match="okr_etl_dag is paused; unpublished: 3 landed rows"):
            start_catch_up_run()
    dsn = settings.require("dsn_serving")
    assert [hold.reason for hold in holds(dsn)] == ["the DAG okr_etl_dag is paused, and 3 landed rows wait for it"]
    runs(0)
    assert start_catch_up_run() == 3
    assert holds(dsn) == [], "the pause is over"


def nothing_is_missing(settings: Settings) -> bool:
    """Return whether a run started by landed events skips itself and catch-up starts none; both must agree."""
    from airflow.sdk.exceptions import AirflowSkipException

    covered = is_published(settings, {TOPIC: {0: 1}})
    with suppress(AirflowSkipException):
        start_catch_up_run()
        assert not covered
        return False
    assert covered
    return True


def decide(settings: Settings, number: int, *, is_in_marts: bool = False) -> None:
    """Withhold an event."""
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(
            "INSERT INTO ops.event_review (event_id, rule, decision, decided_by) "
            "VALUES (%s, 'manual', 'withhold', 'ada')",
            (UUID(int=number),),
        )
        if is_in_marts:
            connection.execute(
                "INSERT INTO marts.fct_reviewed_event VALUES (%s, 'manual', 'withhold')", (UUID(int=number),)
            )


def test_a_decision_on_an_event_starts_runs_until_a_later_build_is_published(
    settings: Settings, runs: Callable[..., None]
) -> None:
    """`okr quarantine withhold` had no effect until the next event landed.

    Then it did so each minute where the event is not loaded any more, and never where the decision fell between two
    models of one build: the mart that lists decisions had it, the others did not follow it.
    """
    land(settings, range(1))
    publish(settings, p0=1)
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute("CREATE TABLE marts.fct_reviewed_event (event_id uuid, rule text, decision text)")
    assert nothing_is_missing(settings)
    decide(settings, 1)
    assert not nothing_is_missing(settings)
    publish(settings, p0=1)
    assert nothing_is_missing(settings), "the mart cannot list an event that is not loaded"
    decide(settings, 2, is_in_marts=True)
    assert not nothing_is_missing(settings), "it was made while the build was at work"


def test_a_release_with_changed_models_starts_one_run(settings: Settings, runs: Callable[..., None]) -> None:
    """Readers requested columns that no publication had, until the next event or the next night."""
    land(settings, range(1))
    publish(settings, p0=1, is_noted=False)
    assert not nothing_is_missing(settings), "a release before noted nothing"
    publish(settings, p0=1, project="another")
    assert not nothing_is_missing(settings)
    publish(settings, p0=1)
    assert nothing_is_missing(settings)


def test_a_recorded_pause_expires_if_catch_up_is_paused_too(settings: Settings, runs: Callable[..., None]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    land(settings, range(1))
    runs(0, is_paused=True)
    with pytest.raises(AirflowSkipException, match="okr_etl_dag is paused"):
        start_catch_up_run()
    dsn = settings.require("dsn_transform")
    assert [hold.kind for hold in holds(dsn)] == ["paused"]
    with connect(dsn) as connection:  # catch_up_dag is paused as well and no longer checks
        connection.execute("UPDATE ops.pipeline_pause SET seen_at = now() - interval '6 minutes'")
    assert holds(dsn) == []


def test_catch_up_waits_ten_minutes_after_a_failed_run_and_for_the_operator_after_a_rollback(
    settings: Settings, runs: Callable[..., None]
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    land(settings, range(3))
    dsn, now = settings.require("dsn_transform"), datetime.now(UTC)
    for minutes_ago, is_started in ((1, False), (11, True)):
        failed_at = now - timedelta(minutes=minutes_ago)
        step_failure.record(dsn, step_failure.StepFailure("okr_etl_dag", "run-1", "dbt", failed_at, "a model broke"))
        if is_started:
            assert start_catch_up_run() == 3
        else:
            with pytest.raises(AirflowSkipException, match="step dbt failed: a model broke"):
                start_catch_up_run()
    publish(settings, p0=1)
    with connect(dsn) as connection:
        connection.execute("UPDATE ops.publication SET rolled_back_at = now() - interval '1 hour'")
    with pytest.raises(AirflowSkipException, match="okr publication resume"):
        start_catch_up_run()
