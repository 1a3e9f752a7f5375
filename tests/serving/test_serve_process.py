"""`okr serve` as a process: what it writes to its logs, and metrics of several processes."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from infra.local.ports import choose
from tests.ingestion.crash import OKR, environment_of
from tests.polling import until
from tests.serving.live_server import Api

# Values that a caller may send. Each would be personal data, or a secret, in a log.
NAME, EMAIL, TITLE = "Aurelia-Planted", "aurelia.planted@example.org", "Win-the-planted-deal"
SECRET = "planted.secret-5up3r"
PLANTED = (NAME, EMAIL, TITLE, SECRET, "127.0.0.1:")


@dataclass(frozen=True)
class Process:
    """A running `okr serve`: a client of it, and the file that has its log."""

    client: httpx.Client
    log: Path


@pytest.fixture(scope="module")
def process(running_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder, port = tmp_path_factory.mktemp("serve"), choose(set())
    settings = running_api.settings.model_copy(
        update={"api_port": port, "api_url": f"http://127.0.0.1:{port}", "state": folder, "log_json": True}
    )
    log = folder / "log"
    with log.open("wb") as output:
        command = [*OKR, "serve", "--workers", "2"]
        started = subprocess.Popen(command, env=environment_of(settings, folder), stdout=output, stderr=output)
    with httpx.Client(base_url=settings.api_url, timeout=30) as client:

        def is_ready() -> bool:
            assert started.poll() is None, log.read_text()
            try:
                return client.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(is_ready, "the process is ready")
            yield Process(client, log)
        finally:
            started.terminate()
            started.wait(30)


def lines_of(process: Process) -> list[dict[str, Any]]:
    """Return the complete lines of the log. Each is a JSON object."""
    lines = process.log.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    text = [line for line in lines if not line.startswith("{")]
    assert not text, text
    return [msgspec.json.decode(line) for line in lines]


def wait_for_lines(process: Process, request_ids: set[str]) -> None:
    """Wait until each request has its line, which is written after its answer."""

    def are_logged() -> bool:
        return request_ids <= {line["request_id"] for line in lines_of(process) if line["event"] == "request"}

    until(are_logged, "each request has a line", seconds=10)


def test_no_log_contains_what_callers_send(process: Process, running_api: Api) -> None:
    client = process.client
    password = running_api.settings.require("app_password")
    token = client.post("/auth/token", json={"username": "app", "password": password}).json()["access_token"]
    known = {"Authorization": f"Bearer {token}"}
    headers = {
        "X-Request-ID": NAME, "traceparent": TITLE, "User-Agent": EMAIL, "Referer": f"https://x.example/{NAME}",
        "Cookie": f"okr_session={SECRET}", "X-Forwarded-For": NAME, "Origin": f"https://{NAME}.example",
    }  # fmt: skip
    key_result = client.get("/v1/key-results?limit=1&status=on_track", headers=known).json()["key_results"][0]
    check_in = {"key_result_id": key_result["key_result_id"], "value": 1.0, "note": f"{TITLE} by {NAME}"}
    answers = [
        client.get(f"/v1/users/{EMAIL}/activity", headers=known | headers),
        client.get(f"/v1/key-results/{TITLE}", headers=known),
        client.get("/v1/key-results", params={"team": NAME}, headers=known),
        client.get(f"/{NAME}/{EMAIL}", headers=headers),
        client.get("/", headers=headers),
        client.request(NAME.partition("-")[0].upper(), "/", headers=headers),
        client.post("/predict", json={"key_result_ids": [TITLE]}, headers=known),
        client.post("/predict", content=f'{{"{SECRET}": ', headers=known | {"Content-Type": "application/json"}),
        client.post("/v1/check-ins", json=check_in, headers=known),
        client.post("/v1/check-ins", json=check_in | {EMAIL: 1}, headers=known | {"Idempotency-Key": NAME}),
        client.post("/auth/token", json={"username": EMAIL, "password": SECRET}),
        client.post("/login", data={"username": EMAIL, "password": SECRET}),
        client.post(f"/models/{NAME}/load", json={"alias": TITLE}, headers=known),
        client.get("/v1/publication", headers={"Authorization": f"Bearer {SECRET}"}),
        client.get("/health", headers={"Host": f"{NAME}.example"}),
        client.post("/predict", content=b"x", headers=known | {"Content-Encoding": NAME}),
    ]
    statuses = {answer.status_code for answer in answers}
    assert {200, 400, 401, 404, 415, 422} <= statuses
    # The HTTP parser refuses an unknown method before there is a request.
    ids = {answer.headers["x-request-id"] for answer in answers if "x-request-id" in answer.headers}
    assert len(ids) == len(answers) - 1
    wait_for_lines(process, ids)
    text = process.log.read_text(encoding="utf-8")
    for value in (*PLANTED, token, password, key_result["key_result_id"]):
        assert value.lower() not in text.lower(), value


def test_every_line_of_a_request_has_its_id_also_if_it_is_an_error(process: Process) -> None:
    request_id = "failing-0123456789"
    process.client.get("/v1/key-results?limit=x", headers={"X-Request-ID": request_id})
    wait_for_lines(process, {request_id})
    lines = lines_of(process)
    of_request = [line for line in lines if line.get("request_id") == request_id]
    # Others are warnings, for instance that Redis responds too slowly.
    (line,) = [line for line in of_request if line["event"] == "request"]
    assert {each["level"] for each in of_request if each is not line} <= {"WARN"}, of_request
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/key-results", 401)
    assert line["took_ms"] > 0


def test_the_metrics_of_both_workers_are_added_up_whichever_answers(process: Process, running_api: Api) -> None:
    address = process.client.base_url
    headers = {"Authorization": f"Bearer {running_api.settings.require('metrics_token')}"}
    name = 'count{method="GET",route="/livez",status="200"}'

    def counts() -> set[float]:
        """Ask on new connections, which either worker may accept."""
        return {metric(httpx.get(f"{address}/metrics", headers=headers).text, name) for _ in range(4)}

    until(lambda: len(counts()) == 1, "both workers have exported what they counted")
    before = counts().pop()
    for _ in range(30):
        assert httpx.get(f"{address}/livez").status_code == 200
    until(lambda: counts() == {before + 30}, "both workers show the requests of both")
    files = list(process.log.parent.glob("run/metrics/api-*/histogram_*.db"))
    assert len(files) >= 2


def test_the_metrics_of_several_processes_are_added_up_and_survive_their_end(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from typing import Any
from serving.observability.metrics_folder import prepare_folder, FOLDER_VARIABLE
if sys.argv[1] == "first":
    prepare_folder(Path(sys.argv[2]), "1")
else:
    os.environ[FOLDER_VARIABLE] = str(Path(sys.argv[2], "run", "metrics", "api-1"))
from serving.observability.metrics import exposition
from serving.http.request_metrics import RequestMetrics
counted = RequestMetrics()
for _ in range(10):
    counted.observe("GET", "/x", 200, 0.003)
counted.export()
sys.stdout.write(exposition().decode())
"""

    def page(which: str) -> str:
        command = [sys.executable, "-c", code, which, str(tmp_path)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    name = 'count{method="GET",route="/x",status="200"}'
    assert [metric(page(which), name) for which in ("first", "second")] == [10, 20]
    assert metric(page("first"), name) == 10, "a new `okr serve` begins at 0"


def metric(text: str, name: str) -> float:
    """Return a value of the histogram of requests from Prometheus' text format, or 0."""
    prefix = f"okr_http_request_duration_seconds_{name} "
    return next((float(line.removeprefix(prefix)) for line in text.splitlines() if line.startswith(prefix)), 0.0)
