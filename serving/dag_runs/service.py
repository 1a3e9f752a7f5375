"""List DAGs, start runs and watch them. The functions of `okr dag` and of /admin/dags, without FastAPI."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lakehouse import step_failure
from lakehouse.errors import NotPossible
from lakehouse.settings import Settings
from serving.dag_runs.airflow import Airflow, AlreadyExists
from serving.errors import Conflict, Difference, NotApplicable, NotFound
from serving.suggestions import similar_names

MOST_DAGS = 100
MOST_TASKS = 200
RUN_PREFIX = "api__"
NO_REASON = "It ended without a message, for example because it was killed. Airflow has the log of the task."
Conf = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A task of a run; `state` is None before it is scheduled. `reason` says why it failed."""

    task_id: str
    state: str | None
    started_at: datetime | None
    ended_at: datetime | None
    tries: int
    reason: str | None = None


@dataclass(frozen=True)
class Run:
    """A run of a DAG; `state` is queued, running, success or failed."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    conf: Conf


@dataclass(frozen=True)
class WatchedRun:
    """A run with its tasks."""

    run: Run
    tasks: list[Task] = field(default_factory=list)


@dataclass(frozen=True)
class Dag:
    """A DAG with its newest runs, newest first."""

    dag_id: str
    description: str | None
    schedule: str | None
    is_paused: bool
    has_import_errors: bool
    runs: list[Run]


@dataclass(frozen=True)
class StartedRun:
    """A run, and whether this call started it."""

    run: Run
    is_new: bool


class DagRuns:
    """Runs of DAGs through Airflow's REST API. Every method raises the errors of `Airflow.get`."""

    def __init__(self, settings: Settings, airflow: Airflow) -> None:
        self._settings = settings
        self._airflow = airflow

    def close(self) -> None:
        """Close the connections to Airflow."""
        self._airflow.close()

    def dags(self, runs: int) -> list[Dag]:
        """Return all DAGs by id, each with its newest runs."""
        found = self._airflow.get("dags", limit=MOST_DAGS, order_by="dag_id")["dags"]
        return [_dag(each, self._runs(each["dag_id"], runs)) for each in found]

    def runs(self, dag_id: str, limit: int) -> list[Run]:
        """Return the newest runs of a DAG, newest first.

        Raises:
            NotFound: there is no such DAG.
        """
        self._described(dag_id)
        return self._runs(dag_id, limit)

    def watch(self, dag_id: str, run_id: str) -> WatchedRun:
        """Return a run with its tasks, and why they failed.

        Raises:
            NotFound: there is no such run.
        """
        run = self._run(dag_id, run_id)
        instances = self._airflow.get("dags", dag_id, "dagRuns", run_id, "taskInstances", limit=MOST_TASKS)
        tasks = [_task(each) for each in instances["task_instances"]]
        if not any(task.state == "failed" for task in tasks):
            return WatchedRun(run, tasks)
        failures = step_failure.failures_of_run(self._settings.require("dsn_serving"), dag_id, run_id)
        reasons = {each.step: each.message for each in failures}
        return WatchedRun(run, [_explained(task, reasons) for task in tasks])

    def start(self, dag_id: str, conf: Conf, *, by: str, idempotency_key: str | None) -> StartedRun:
        """Start a run. With the same idempotency key of the same account, a repeat returns the first run.

        Raises:
            NotFound: there is no such DAG.
            NotApplicable: the DAG has no such parameter, or a parameter has an invalid value.
            NotPossible: the DAG is paused, so that the run would not start.
            Conflict: the key was used before with other parameters.
        """
        run_id = RUN_PREFIX + (_digest(by, dag_id, idempotency_key) if idempotency_key else uuid.uuid4().hex)
        if idempotency_key and (first := self._started(dag_id, run_id, conf)):
            return first
        described = self._described(dag_id)
        params = described.get("params") or {}
        if unknown := sorted(conf.keys() - params.keys()):
            known = f"its parameters are {', '.join(sorted(params))}" if params else "it has none"
            raise NotApplicable(f"{dag_id} has no parameter {', '.join(map(repr, unknown))}: {known}.")
        if described["is_paused"]:
            raise NotPossible(f"{dag_id} is paused, so a run would wait. Unpause it in Airflow first.")
        try:
            body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
            return StartedRun(_run_of(self._airflow.post("dags", dag_id, "dagRuns", body=body)), is_new=True)
        except AlreadyExists:
            if first := self._started(dag_id, run_id, conf):  # by the same request, sent at the same time
                return first
            raise NotFound(f"{dag_id} has no run {run_id!r}.") from None

    def result(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Return what a task has reported under a key ("return_value" is its return value), or None."""
        path = ("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", key)
        try:
            return self._airflow.get(*path, deserialize=True)["value"]
        except NotFound:
            return None

    def _described(self, dag_id: str) -> dict[str, Any]:
        try:
            return self._airflow.get("dags", dag_id, "details")
        except NotFound:
            known = [each["dag_id"] for each in self._airflow.get("dags", limit=MOST_DAGS)["dags"]]
            raise NotFound(f"There is no DAG {dag_id!r}.", similar_names(dag_id, known)) from None

    def _started(self, dag_id: str, run_id: str, conf: Conf) -> StartedRun | None:
        """Return the run that an earlier request with the same idempotency key started, or None."""
        try:
            first = _run_of(self._airflow.get("dags", dag_id, "dagRuns", run_id))
        except NotFound:
            return None
        if dict(first.conf) != dict(conf):
            raise Conflict(
                f"The Idempotency-Key was used before for the run {run_id} of {dag_id} with other parameters.",
                [Difference("conf", dict(first.conf), dict(conf))],
            )
        return StartedRun(first, is_new=False)

    def _run(self, dag_id: str, run_id: str) -> Run:
        try:
            return _run_of(self._airflow.get("dags", dag_id, "dagRuns", run_id))
        except NotFound:
            self._described(dag_id)
            raise NotFound(f"{dag_id} has no run {run_id!r}.") from None

    def _runs(self, dag_id: str, limit: int) -> list[Run]:
        found = self._airflow.get("dags", dag_id, "dagRuns", order_by="-run_after", limit=limit)
        return [_run_of(each) for each in found["dag_runs"]]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _dag(found: dict[str, Any], runs: list[Run]) -> Dag:
    return Dag(
        dag_id=found["dag_id"],
        description=found.get("description"),
        schedule=found.get("timetable_description"),
        is_paused=found["is_paused"],
        has_import_errors=bool(found.get("has_import_errors")),
        runs=runs,
    )


def _run_of(found: dict[str, Any]) -> Run:
    return Run(
        dag_id=found["dag_id"],
        run_id=found["dag_run_id"],
        state=found["state"],
        run_type=found["run_type"],
        queued_at=_time(found.get("queued_at")),
        started_at=_time(found.get("start_date")),
        ended_at=_time(found.get("end_date")),
        conf=found.get("conf") or {},
    )


def _task(found: dict[str, Any]) -> Task:
    return Task(
        task_id=found["task_id"],
        state=found["state"],
        started_at=_time(found.get("start_date")),
        ended_at=_time(found.get("end_date")),
        tries=found.get("try_number") or 0,
    )


def _explained(task: Task, reasons: Mapping[str, str]) -> Task:
    if task.state != "failed":
        return task
    return Task(**vars(task) | {"reason": reasons.get(task.task_id, NO_REASON)})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
