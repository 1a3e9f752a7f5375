"""The logs of a whole local stack: in the schema, and without the secrets and personal data that were planted."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psycopg
import pytest
from dotenv import dotenv_values

from lakehouse.log_records.schema import SCHEMA
from tests.figures import report
from tests.polling import until

ROOT = Path(__file__).parents[3]
NAME, EMAIL, SECRET = "Planted Person", "planted.person@example.org", "planted-secret-0815"
LEAST_PARSED = 0.95  # Airflow and MLflow print a few lines before they configure logging

pytestmark = pytest.mark.timeout(900)


def okr(state: Path, *arguments: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "lakehouse.cli", *arguments], capture_output=True, text=True, check=False,
        env={"OKR_STATE": str(state), "PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}, cwd=ROOT, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running stack, which was asked for what fails, with personal data and secrets in each request."""
    state = tmp_path_factory.mktemp("logs") / "state"
    try:
        okr(state, "up")
        _plant(state)
        yield state
    finally:
        okr(state, "down")


def _plant(state: Path) -> None:
    values = {name: str(value) for name, value in dotenv_values(state / "stack.env").items()}
    api = values["OKR_API_URL"]
    headers = {
        "User-Agent": EMAIL,
        "Cookie": f"okr_session={SECRET}",
        "Authorization": f"Bearer {SECRET}",
        "Referer": EMAIL,
    }
    for path in (f"/v1/users/{EMAIL}/activity", f"/v1/key-results?team={NAME}", f"/{NAME}", "/v1/key-results?limit=x"):
        httpx.get(f"{api}{path}", headers=headers | {"X-Request-ID": "planted-request-0001"})
    httpx.post(f"{api}/auth/token", json={"username": EMAIL, "password": SECRET})
    for url in (values["OKR_AIRFLOW_URL"], values["OKR_MLFLOW_URL"]):
        httpx.get(f"{url}/api/v2/dags", auth=(EMAIL, SECRET), headers={"User-Agent": NAME})
        httpx.get(f"{url}/{SECRET}?name={EMAIL}", headers={"User-Agent": NAME})
    with psycopg.connect(values["OKR_PG_SUPERUSER_DSN"]) as connection, pytest.raises(psycopg.Error):
        connection.execute(
            f"CREATE TEMP TABLE person (email text UNIQUE); INSERT INTO person VALUES ('{EMAIL}'), ('{EMAIL}')"
        )
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(values["OKR_DSN_LOADER"].replace("okr_loader:", f"okr_loader:{SECRET}"))


def lines_of(state: Path, *arguments: str) -> list[dict[str, Any]]:
    """Return the lines of the logs."""
    return [json.loads(line) for line in okr(state, "logs", "--json", *arguments).splitlines()]


def test_nearly_all_lines_of_each_service_are_in_the_schema(state: Path) -> None:
    def has_run_a_task() -> bool:
        return any(line.get("task_id") for line in lines_of(state, "--service", "airflow-scheduler"))

    until(has_run_a_task, "a task has run", seconds=150, pause=5)
    lines = lines_of(state)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for line in lines:
        validator.validate(line)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    everything = Counter(line["service"] for line in lines)
    parsed = Counter(line["service"] for line in lines if line.get("parsed", True))
    rows = [[name, f"{count:,}", f"{parsed[name] / count:.1%}"] for name, count in sorted(everything.items())]
    total = sum(parsed.values()) / len(lines)
    rows.append(["all", f"{len(lines):,}", f"{total:.1%}"])
    note = "A new stack with all services, until a task has run."
    report("Share of log lines that are parsed", ["service", "lines", "parsed"], rows, note)
    assert {
        "postgres",
        "kafka",
        "redis",
        "api",
        "land",
        "mlflow",
        "airflow-scheduler",
        "supervisord",
    } <= everything.keys()
    assert total >= LEAST_PARSED
    for own in ("api", "land", "state"):
        assert parsed[own] == everything[own]


def test_a_request_is_found_by_its_id(state: Path) -> None:
    found = lines_of(state, "--request-id", "planted-request-0001")
    assert {line["service"] for line in found} == {"api"}
    assert len([line for line in found if line["event"] == "request"]) == 4


def test_no_file_has_a_secret_or_what_callers_sent(state: Path) -> None:
    values = {name: str(value) for name, value in dotenv_values(state / "stack.env").items()}
    secret = ("PASSWORD", "SECRET", "TOKEN")
    looked_for = {NAME, EMAIL, SECRET} | {
        value for name, value in values.items() if name.endswith(secret) and len(value) >= 8
    }
    assert len(looked_for) > 20
    files = [path for path in (state / "logs").rglob("*") if path.is_file()]
    assert len(files) > 15
    found = []
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace").lower()
        found += [(path.name, value) for value in looked_for if value.lower() in text]
    assert found == []


def test_the_level_of_a_running_service_changes(state: Path) -> None:
    def count() -> int:
        return len(lines_of(state, "--service", "api", "--request-id", "level-request-0001"))

    def request() -> None:
        url = str(dotenv_values(state / "stack.env")["OKR_API_URL"])
        httpx.get(f"{url}/v1/key-results", headers={"X-Request-ID": "level-request-0001"})

    okr(state, "logs", "level", "api", "INFO,serving.http.access_log=WARN", "--for", "6s")

    def is_quiet() -> bool:
        before = count()
        request()
        return count() == before

    until(is_quiet, "the access log is off", seconds=6, pause=0.5)

    def is_back() -> bool:
        return not is_quiet()

    until(is_back, "the access log is on again by itself", seconds=30, pause=1)
