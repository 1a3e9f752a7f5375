"""A server that answers as Airflow's REST API does, as far as serving/dag_runs needs it (tests/e2e: Airflow)."""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGIN = {"username": "okr-serving", "password": "secret of okr-serving"}
PARAMS = {
    "okr_etl_dag": ("accept_raw_batch", "accept_marts_build"),
    "model_promotion_dag": ("version",),
    "idle_dag": (),
}
AT = "2026-11-20T12:00:00Z"


class AirflowServer(ThreadingHTTPServer):
    """Has three DAGs. Tests set its answers, and read the requests that it received."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reset()

    def reset(self) -> None:
        """Forget all runs and logins, and answer normally again."""
        self.runs: dict[tuple[str, str], dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, str]] = {}
        self.results: dict[str, str] = {}
        self.paused: set[str] = set()
        self.tokens: list[str] = []
        self.logins = 0
        self.status: int | None = None
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_port}"

    def finish(self, run_id: str, state: str, tasks: dict[str, str], **results: str) -> None:
        """End a run with the states of its tasks and the results of the last one."""
        for (_, each), run in self.runs.items():
            if each == run_id:
                run |= {"state": state, "end_date": AT}
        self.tasks[run_id], self.results = tasks, results


class Handler(BaseHTTPRequestHandler):
    server: AirflowServer

    def log_message(self, *_arguments: object) -> None: ...

    def do_GET(self) -> None:
        self._respond({})

    def do_POST(self) -> None:
        self._respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _respond(self, body: dict[str, Any]) -> None:
        time.sleep(self.server.delay_s)
        path = self.path.partition("?")[0]
        if path == "/auth/token":
            status, answer = self._log_in(body)
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.server.tokens:
            status, answer = 401, {"detail": "Invalid JWT token"}
        else:
            status, answer = self._answer(path.removeprefix("/api/v2/"), body)
        text = json.dumps(answer).encode()
        self.send_response(self.server.status or status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _log_in(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body != LOGIN:
            return 401, {"detail": "Invalid credentials"}
        self.server.logins += 1
        token = uuid.uuid4().hex
        self.server.tokens.append(token)
        return 201, {"access_token": token}

    def _answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:  # noqa: PLR0911 -- one per path
        dag_id, _, rest = path.removeprefix("dags").removeprefix("/").partition("/")
        if not dag_id:
            return 200, {"dags": [self._dag(each) for each in sorted(PARAMS)]}
        if dag_id not in PARAMS:
            return 404, {"detail": f"The Dag with ID: `{dag_id}` was not found"}
        if rest == "details":
            return 200, self._dag(dag_id) | {"params": {name: {} for name in PARAMS[dag_id]}}
        if rest == "dagRuns":
            return self._start(dag_id, body) if body else (200, {"dag_runs": self._runs_of(dag_id)})
        found = re.fullmatch(r"dagRuns/([^/]+)(/taskInstances(/[^/]+/xcomEntries/(\w+))?)?", rest)
        assert found, path
        run_id, tasks, xcom, key = found.groups()
        if (dag_id, run_id) not in self.server.runs:
            return 404, {"detail": "The DagRun was not found"}
        if xcom:
            return (200, {"value": self.server.results[key]}) if key in self.server.results else (404, {})
        if tasks:
            return 200, {"task_instances": [_task(*each) for each in self.server.tasks.get(run_id, {}).items()]}
        return 200, self.server.runs[dag_id, run_id]

    def _start(self, dag_id: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert set(body) == {"dag_run_id", "logical_date", "conf"}
        key = (dag_id, body["dag_run_id"])
        run = {
            "dag_id": dag_id, "dag_run_id": body["dag_run_id"], "state": "queued", "run_type": "manual",
            "queued_at": AT, "start_date": None, "end_date": None, "conf": body["conf"],
        }  # fmt: skip
        is_new = self.server.runs.setdefault(key, run) is run  # one step, as Airflow's unique index
        return (200, run) if is_new else (409, {"detail": "The DagRun already exists"})

    def _runs_of(self, dag_id: str) -> list[dict[str, Any]]:
        return [run for (dag, _), run in reversed(self.server.runs.items()) if dag == dag_id]

    def _dag(self, dag_id: str) -> dict[str, Any]:
        return {
            "dag_id": dag_id, "description": None, "timetable_description": "At 03:00",
            "is_paused": dag_id in self.server.paused, "has_import_errors": False,
        }  # fmt: skip


def _task(task_id: str, state: str) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "start_date": AT, "end_date": AT, "try_number": 1}


@contextmanager
def airflow_server() -> Iterator[AirflowServer]:
    """Run the server until the block ends."""
    server = AirflowServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
