"""Waiting for okr_etl_dag ends if a run that saw all events failed, and continues if it saw only a part."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.demo.airflow_client import Run
from infra.demo.errors import StepFailed
from infra.demo.etl_watch import Watch

LANDED_AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Airflow:
    """A stand-in for Airflow: the runs of one DAG, newest first."""

    def __init__(self, *runs: Run) -> None:
        self.all, self.started = list(runs), 0

    def runs(self, dag: str, limit: int) -> list[Run]:
        return self.all[:limit]

    def tasks(self, run: Run) -> str:
        return "dbt running"

    def failure(self, run: Run) -> StepFailed:
        return StepFailed(f"gate_raw of {run.dag} failed: expected that ..., e.g. c-1", log="-", fix="-")

    def start(self, dag: str) -> None:
        self.started += 1
        self.all.insert(0, run("queued", None))


def run(state, after_s):
    started_at = None if after_s is None else LANDED_AT + timedelta(seconds=after_s)
    return Run("okr_etl_dag", "run", state, None, started_at)


def test_a_failed_run_that_saw_all_events_ends_the_wait_with_step_rule_and_example():
    airflow = Airflow(run("failed", 1))
    with pytest.raises(StepFailed, match=r"gate_raw of okr_etl_dag failed: expected that .*, e\.g\. c-1"):
        Watch(airflow, print, LANDED_AT)()


def test_a_failed_run_is_ignored_while_another_one_is_active():
    airflow = Airflow(run("failed", 1), run("running", 2))
    assert "running: dbt running" in Watch(airflow, print, LANDED_AT)()


def test_after_a_failed_run_that_saw_only_a_part_another_run_is_started():
    airflow = Airflow(run("failed", -1))
    watch = Watch(airflow, print, LANDED_AT)
    watch()
    assert "queued" in watch()
    assert airflow.started == 1
    airflow.all[0] = run("failed", 3)
    with pytest.raises(StepFailed):
        watch()
