"""The API as a process that is pinned to one core, a bare ASGI echo on the same core, and the load on both.

Import all names of this module and of tests.serving.conftest to get the fixtures.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from infra.local.ports import choose
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from ml.champion import set_champion
from ml.feature_mart import read_history
from ml.fit_model import fit
from ml.golden_rows import ROWS
from ml.hyperparameters import Hyperparameters
from ml.train_test_split import everything_closed
from tests.benchmarks.wrk import CLIENT_CORE, Load, pinned, run_wrk
from tests.polling import until
from tests.serving.worker_processes import Served, okr_serve

ROUNDS = int(os.environ.get("OKR_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("OKR_BENCH_SECONDS", "5"))
WARM_UP_S = 2

ECHO = """
import asyncio, sys, uvicorn

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive()).get("body", b"")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, lifespan="off",
            log_level="warning", server_header=False)
"""


@contextmanager
def python_server(code: str, path: str) -> Iterator[tuple[psutil.Process, str]]:
    """Run Python code that serves on the port in its first argument, pinned to the server's core."""
    port = choose(set())
    process = subprocess.Popen(pinned([sys.executable, "-c", code, str(port)]))
    url = f"http://127.0.0.1:{port}{path}"
    try:
        until(lambda: is_listening(url), "the server answers")
        yield psutil.Process(process.pid), url
    finally:
        process.terminate()
        process.wait(10)


def is_listening(url: str) -> bool:
    """Return whether a server answers, with any status."""
    try:
        httpx.get(url, timeout=5)
    except httpx.HTTPError:
        return False
    return True


@contextmanager
def echo() -> Iterator[tuple[psutil.Process, str]]:
    """Run the bare echo."""
    with python_server(ECHO, "/predict") as server:
        yield server


@dataclass(frozen=True)
class Target:
    """An API under load: its processes, its address, and the headers of an app's requests."""

    served: Served
    url: str
    headers: dict[str, str]

    @property
    def supervisor(self) -> psutil.Process:
        """The process whose CPU time, with that of its children, is measured."""
        return self.served.supervisor


def unlimited(settings: Settings) -> None:
    """Let the rate plans allow any rate."""
    with psycopg.connect(settings.require("dsn_owner")) as connection:
        connection.execute("UPDATE serving.rate_plan SET requests_per_second = 1000000, burst = 1000000")


def log_in(settings: Settings, served: Served) -> Target:
    """Log in as an app."""
    base = f"http://127.0.0.1:{served.port}"
    token = until(lambda: _token(base, settings.require("app_password")), "the accounts are created")
    target = Target(served, base, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    for _ in range(20):  # connections, so that each worker has loaded its model
        answer = httpx.post(f"{base}/predict", headers=target.headers, json={"features": dict(ROWS[0])}, timeout=60)
        assert answer.status_code == 200, answer.text
    return target


def _token(base: str, password: str) -> str | None:
    answer = httpx.post(f"{base}/auth/token", data={"username": "app", "password": password}, timeout=30)
    return answer.json()["access_token"] if answer.status_code == 200 else None


@pytest.fixture(scope="session")
def full_model(published: Settings) -> str:
    """The number of a version with as many trees as a real one, which is champion."""
    with connect(published.require("dsn_serving")) as connection:
        history = read_history(connection)
    model = fit(history.take(everything_closed(history)), Hyperparameters())
    tags = {"trained_until": model.trained_until}
    version = model_registry.register(
        published, {"model": model, "evaluated": model}, parameters={}, metrics={"brier": 0.1}, tags=tags
    )
    set_champion(published, version)
    return version


@pytest.fixture(scope="module")
def target(
    published: Settings,
    full_model: str,
    redis_server: Settings,
    kafka: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Target]:
    """One worker on the server's core, with a plan that does not limit it."""
    unlimited(published)
    settings = published.model_copy(update={"log_json": True, "prediction_log_bytes": 2**30})
    with okr_serve(settings, tmp_path_factory.mktemp("serve"), "--workers", "1", prefix=pinned([])) as served:
        yield log_in(published, served)


@pytest.fixture(scope="module")
def key_result_ids(target: Target) -> list[str]:
    """The key results that have a forecast."""
    listed = httpx.get(f"{target.url}/v1/key-results?limit=1000", headers=target.headers).json()["key_results"]
    body = {"key_result_ids": [each["key_result_id"] for each in listed]}
    answer = httpx.post(f"{target.url}/predict", headers=target.headers, json=body, timeout=60).json()
    time.sleep(3)  # the forecasts are prepared in the background
    return [one["key_result_id"] for one in answer["predictions"] if one["status"] == "forecast"]


@dataclass(frozen=True)
class Contender:
    """A server in a comparison, with the address and the wrk script of its requests."""

    name: str
    process: psutil.Process
    url: str
    script: Path
    client_core: str | None = None
    """The core or cores of wrk, if not its own one."""

    def load(self, connections: int, seconds: int) -> Load:
        """Run wrk against the server."""
        cores = self.client_core or CLIENT_CORE
        return run_wrk(self.url, self.script, self.process, connections=connections, seconds=seconds, cores=cores)


def compare(*contenders: Contender, connections: int = 64) -> dict[str, list[Load]]:
    """Return the loads of ROUNDS rounds by name. The contenders alternate, so that all meet the same other load."""
    for each in contenders:
        each.load(connections, WARM_UP_S)
    loads: dict[str, list[Load]] = {each.name: [] for each in contenders}
    for _ in range(ROUNDS):
        for each in contenders:
            load = each.load(connections, SECONDS)
            assert load.errors == 0, (each.name, load)
            loads[each.name].append(load)
    return loads


def median(loads: list[Load], name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(getattr(each, name) for each in loads)


def row_of(name: str, loads: list[Load], reference: list[Load]) -> list[str]:
    """Return a row of a table: the rate, CPU time and latencies, and two ratios, which are below 1 if the row is worse.

    The rate ratio is this row's rate divided by the reference's. The CPU ratio is the reference's CPU time divided by
    this row's.
    """
    rate, cpu_us = median(loads, "rate"), median(loads, "cpu_us")
    return [
        name,
        f"{rate:,.0f}",
        f"{cpu_us:.1f}",
        f"{median(loads, 'p50_ms'):.2f}",
        f"{median(loads, 'p99_ms'):.2f}",
        f"{rate / median(reference, 'rate'):.2f}",
        f"{median(reference, 'cpu_us') / cpu_us:.2f}",
    ]


HEADER = ("", "requests/s", "CPU us", "p50 ms", "p99 ms", "rate ratio", "CPU ratio")
