"""Runs tries of steps as Airflow's scheduler does: a process that has imported their modules is forked for each try.

As a program it reads one order per line from standard input, forks, and prints the child's exit status.
"""

import json
import os
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from lakehouse.settings import Settings
from tests.ingestion.crash import environment_of

SKIPPED = 99
FAILED = 98


def environment_of_airflow(home: Path) -> dict[str, str]:
    """Return the environment of Airflow: a home with its own database, never the user's."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


@dataclass(frozen=True)
class Ended:
    """The end of a try: `status` is 0, SKIPPED, FAILED or the negative signal; `log` is its output."""

    status: int
    result: Any
    log: str


class Zygote:
    """The process that forks; use it as a context manager."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Store tries in `folder`, which is also their state folder.

        `settings` are those of the process that forks, as the scheduler has some.
        """
        self.folder, self._settings, self._tries = folder, settings, 0

    def __enter__(self) -> Self:
        environment = environment_of(self._settings, self.folder) | environment_of_airflow(self.folder)
        with (self.folder / "zygote.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.dags.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, cwd=Path(__file__).parents[2], env=environment,
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:  # closes the pipes and waits
            self._process.kill()

    def start(self, settings: Settings, step: str, *arguments: Any, **order: Any) -> Path:
        """Start a try of `step` (module:function below dags.steps) and return where its result and log will be.

        `order` holds run_id, dag, try_number, params, run_type, and `arm`: Python that plants a fault before the step.
        """
        self._tries += 1
        place = self.folder / f"try-{self._tries}"
        environment = {k: v for k, v in environment_of(settings, self.folder).items() if k.startswith("OKR_")}
        order |= {"step": step, "arguments": arguments, "environment": environment, "place": str(place)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return place

    def ended(self, place: Path) -> Ended:
        """Wait for the oldest try that was started and not waited for."""
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline() or '{"status": null}')
        result = place.with_suffix(".json")
        found = json.loads(result.read_text()) if result.exists() else None
        return Ended(answer["status"], found, place.with_suffix(".log").read_text(errors="replace"))

    def run(self, settings: Settings, step: str, *arguments: Any, **order: Any) -> Ended:
        """Run a try to its end."""
        return self.ended(self.start(settings, step, *arguments, **order))


def _serve() -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # imported modules write to standard output, too
    _preload()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _try(order)
        _, status = os.waitpid(child, 0)
        os.write(answers, (json.dumps({"status": os.waitstatus_to_exitcode(status)}) + "\n").encode())


def _preload() -> None:
    from infra.local.airflow_config import airflow_local_settings as preloading

    preloading.preload("scheduler")
    assert not {"deltalake", "duckdb", "polars", "mlflow"} & set(sys.modules), "their threads do not survive a fork"
    assert threading.active_count() == 1, f"not in the forked process: {threading.enumerate()[1:]}"


def _try(order: dict[str, Any]) -> None:
    """Run the step in this forked process and exit without the parent's clean-up."""
    place = Path(order["place"])
    log = os.open(place.with_suffix(".log"), os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ |= order["environment"]
    try:
        result = _body(order)
        status = _ended(place, result)
    except BaseException as error:
        traceback.print_exc()
        if type(error).__name__ == "DownstreamTasksSkipped":  # the step has succeeded
            os._exit(_ended(place, {"left_out": error.tasks}))  # type: ignore[attr-defined]
        status = SKIPPED if type(error).__name__ == "AirflowSkipException" else FAILED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _ended(place: Path, result: Any) -> int:
    place.with_suffix(".json").write_text(json.dumps(result))
    return 0


def _body(order: dict[str, Any]) -> Any:
    import airflow.sdk

    from ml import champion

    champion.champion_version = lambda _settings, **_: None  # no MLflow runs beside these tests
    module, _, name = order["step"].partition(":")
    exec(f"from tests.faults.fault_injection import *\nfrom dags.steps import *\n{order.get('arm', '')}", {})  # noqa: S102
    steps = __import__(f"dags.steps.{module}", fromlist=[name])
    context = _context(order, name)
    airflow.sdk.get_current_context = lambda: context  # type: ignore[assignment, return-value]
    if name == "build":
        return steps.build().execute(context)
    return getattr(steps, name)(*order["arguments"])


def _context(order: dict[str, Any], name: str) -> dict[str, Any]:
    ti = SimpleNamespace(
        try_number=order.get("try_number", 1), run_id=order["run_id"], task_id=name,
        dag_id=order.get("dag", "okr_etl_dag"),
        start_date=datetime.now(UTC), end_date=None, xcom_push=lambda **_: None, xcom_pull=lambda **_: None,
        get_dr_count=lambda *_, **__: order.get("unfinished_runs", 0),
        get_dag=lambda _dag_id: SimpleNamespace(is_paused=False),
    )  # fmt: skip
    params = {"accept_raw_batch": False, "accept_marts_build": False} | order.get("params", {})
    # Airflow's own enum, which equals its value as text although str() of it does not.
    from airflow.sdk.api.datamodels._generated import DagRunType

    run = SimpleNamespace(run_type=DagRunType(order.get("run_type", "asset_triggered")))
    return {"ti": ti, "run_id": order["run_id"], "params": params, "dag_run": run, "task_instance": ti}


if __name__ == "__main__":
    _serve()
