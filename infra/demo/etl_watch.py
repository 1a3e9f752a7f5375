"""Watch okr_etl_dag until the landed events are published, and decide whether a failed run ends the demo."""

from collections.abc import Callable
from datetime import UTC, datetime

from infra.demo.airflow_client import Airflow, Run

ETL = "okr_etl_dag"


class Watch:
    """Checks the newest runs. The demo ends if a run fails that started after all events had landed."""

    def __init__(self, airflow: Airflow, say: Callable[[str], None], landed_at: datetime | None = None) -> None:
        """Start watching. All events had landed by `landed_at`, by default now."""
        self._airflow, self._say = airflow, say
        self._landed_at = landed_at or datetime.now(UTC)

    def __call__(self) -> str:
        """Report and return what is running. If the newest run failed but lacked some of the events, start another.

        Raises:
            StepFailed: a run that included all events failed; the message contains its steps, rules and examples.
        """
        runs = self._airflow.runs(ETL, limit=5)
        active = [run for run in runs if run.state in {"queued", "running"}]
        if not active and runs and runs[0].state == "failed":
            self._handle_failure(runs[0])
        status = (
            f"{active[-1].run_id} {active[-1].state}: {self._airflow.tasks(active[-1])}" if active else "no run yet"
        )
        self._say(status)
        return status

    def _handle_failure(self, run: Run) -> None:
        if run.started_at is not None and run.started_at >= self._landed_at:
            raise self._airflow.failure(run)  # the next run would fail in the same way
        self._airflow.start(ETL)  # the failed run saw only some of the events; one that sees all of them may succeed
