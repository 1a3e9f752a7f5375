"""A client for Airflow's REST API v2, which lists, starts and waits for runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx

from infra.demo.endpoint import Endpoint
from infra.demo.errors import StepFailed
from lakehouse import step_failure
from lakehouse.client_tls import ClientTls
from lakehouse.errors import OkrError
from lakehouse.http_client import http_client
from lakehouse.settings import Settings

FAILED_RUN_ADVICE = "the message says what was expected; docs/runbooks/ describes what to do for each gate."


@dataclass(frozen=True)
class Run:
    """One DAG run; `state` is queued, running, success or failed. A queued run has no `started_at`."""

    dag: str
    run_id: str
    state: str
    seconds: float | None
    started_at: datetime | None


class Airflow:
    """A logged-in client for the stack's Airflow, used as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logs = settings.state / "logs" / "airflow"
        url = settings.require("airflow_url").rstrip("/")
        self._http = http_client(url, timeout_s=20, tls=ClientTls.of(settings))
        self.api = Endpoint(self._http, "Airflow", self._logs)
        login = {"username": settings.airflow_user, "password": settings.require("airflow_password")}
        token = self.api.json("POST", "/auth/token", may_repeat=True, json=login)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def runs(self, dag: str, limit: int = 20) -> list[Run]:
        """Return the newest runs of a DAG, newest first."""
        found = self.api.json("GET", f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": limit})
        return [_parse_run(dag, each) for each in found["dag_runs"]]

    def start(self, dag: str, conf: dict[str, Any] | None = None) -> Run:
        """Wait until Airflow has registered the DAG, then start a manual run."""
        self.wait_for_dag(dag)
        return _parse_run(
            dag, self.api.json("POST", f"/api/v2/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        )

    def pause(self, dag: str, *, is_paused: bool = True) -> None:
        """Pause a DAG, or unpause it."""
        self.api.json("PATCH", f"/api/v2/dags/{dag}", may_repeat=True, json={"is_paused": is_paused})

    def wait_for_dag(self, dag: str, limit_s: float = 90) -> None:
        """Wait until Airflow has registered the DAG.

        Raises:
            StepFailed: Airflow did not register it within `limit_s` seconds.
        """
        deadline = time.monotonic() + limit_s
        while self.api.send("GET", f"/api/v2/dags/{dag}").status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                raise StepFailed(
                    f"Airflow has not registered {dag} after {limit_s:.0f} s", log=self._logs,
                    fix="`okr status` shows whether airflow-dag-processor is running; its log names import errors.",
                )  # fmt: skip
            time.sleep(1)

    def wait(self, run: Run, limit_s: float, say: Callable[[str], None]) -> Run:
        """Wait until a run has succeeded.

        Raises:
            StepFailed: it failed, or did not finish within `limit_s` seconds.
        """
        deadline = time.monotonic() + limit_s
        while True:
            now = _parse_run(run.dag, self.api.json("GET", f"/api/v2/dags/{run.dag}/dagRuns/{run.run_id}"))
            if now.state == "success":
                return now
            say(f"{run.dag} {now.state}: {self.tasks(now)}")
            if now.state == "failed":
                raise self.failure(now)
            if time.monotonic() > deadline:
                raise StepFailed(
                    f"{run.dag} is still {now.state} after {limit_s:.0f} s: {self.tasks(now)}", log=self.log(now),
                    fix="the log of the running task says what it is waiting for.",
                )  # fmt: skip
            time.sleep(1)

    def failure(self, run: Run) -> StepFailed:
        """Return an error with the message of each failed step, including the rules and examples of a failed gate."""
        try:
            failures = step_failure.failures_of_run(self._settings.require("dsn_serving"), run.dag, run.run_id)
        except OkrError:
            failures = []  # the warehouse itself may be unavailable
        message = "\n".join(map(str, failures)) or f"{run.dag} failed: {self.tasks(run)}"
        return StepFailed(message, log=self.log(run), fix=FAILED_RUN_ADVICE)

    def log(self, run: Run) -> Path:
        """Return the folder with the logs of a run's tasks."""
        return self._logs / f"dag_id={run.dag}" / f"run_id={run.run_id}"

    def result(self, run: Run, task: str) -> Any:
        """Return the return value of a task in a run, or None if the task was skipped."""
        path = f"/api/v2/dags/{run.dag}/dagRuns/{run.run_id}/taskInstances/{task}/xcomEntries/return_value"
        response = self.api.send("GET", path, params={"deserialize": True})
        return self.api.read(response)["value"] if response.status_code == httpx.codes.OK else None

    def tasks(self, run: Run) -> str:
        """Describe the tasks of a run: the failed or running ones, or else how many have finished."""
        path = f"/api/v2/dags/{run.dag}/dagRuns/{run.run_id}/taskInstances"
        tasks = self.api.json("GET", path, params={"limit": 200})["task_instances"]
        for state in ("failed", "running"):
            if names := sorted({task["task_id"].split(".")[0] for task in tasks if task["state"] == state}):
                return f"{', '.join(names)} {state}"
        return f"{sum(task['state'] == 'success' for task in tasks)} of {len(tasks)} tasks done"


def _parse_run(dag: str, found: dict[str, Any]) -> Run:
    started_at = datetime.fromisoformat(found["start_date"]) if found.get("start_date") else None
    return Run(dag, found["dag_run_id"], found["state"], found.get("duration"), started_at)
