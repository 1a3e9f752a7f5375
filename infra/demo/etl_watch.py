"""Watching okr_etl_dag while it is to publish what has landed: what runs, and whether a failure is the end of it."""

from collections.abc import Callable
from datetime import UTC, datetime

from infra.demo.airflow_client import Airflow, Run

ETL = "okr_etl_dag"


class Watch:
    """Looks at the newest runs; a failed one that began when all had landed is not going to be better later."""

    def __init__(self, airflow: Airflow, say: Callable[[str], None], landed_at: datetime | None = None) -> None:
        """Begin to watch; all had landed at `landed_at`, by default now."""
        self._airflow, self._say = airflow, say
        self._landed_at = landed_at or datetime.now(UTC)

    def __call__(self) -> str:
        """Say what runs, and return it; start a run where the newest one failed on what had landed until then.

        Raises:
            StepFailed: a run that saw everything failed: with its steps, rules and examples.
        """
        runs = self._airflow.runs(ETL, limit=5)
        active = [run for run in runs if run.state in {"queued", "running"}]
        if not active and runs and runs[0].state == "failed":
            self._failed(runs[0])
        now = f"{active[-1].run_id} {active[-1].state}: {self._airflow.tasks(active[-1])}" if active else "no run yet"
        self._say(now)
        return now

    def _failed(self, run: Run) -> None:
        if run.started_at is not None and run.started_at >= self._landed_at:
            raise self._airflow.failure(run)
        self._airflow.start(ETL)  # it failed on a part of what has landed; one that sees all may pass
