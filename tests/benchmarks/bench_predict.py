"""POST /predict by key result id, compared with a bare ASGI echo on uvicorn in the same run: the ratio of the rates.

The server is pinned to one core and wrk to the other. Each figure is the median of ROUNDS runs that alternate between
the two servers.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from infra.local.ports import choose
from lakehouse.settings import Settings
from tests.benchmarks.wrk import Load, pinned, post_script, run_wrk
from tests.polling import until
from tests.serving.conftest import *  # noqa: F403 -- the published organisation
from tests.serving.worker_processes import Served, okr_serve

ROUNDS = int(os.environ.get("OKR_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("OKR_BENCH_SECONDS", "5"))
MEMORY_REQUESTS = int(os.environ.get("OKR_BENCH_MEMORY_REQUESTS", "1000000"))
MIN_RATIO = 0.55
MOST_P99_MS = 5.0
MOST_ONE_P50_MS = 0.2
MOST_GROWTH_MB = 16

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
def echo() -> Iterator[tuple[psutil.Process, str]]:
    """Run the bare echo."""
    port = choose(set())
    process = subprocess.Popen(pinned([sys.executable, "-c", ECHO, str(port)]))
    url = f"http://127.0.0.1:{port}/predict"
    try:
        until(lambda: _is_listening(url), "the echo answers")
        yield psutil.Process(process.pid), url
    finally:
        process.terminate()
        process.wait(10)


def _is_listening(url: str) -> bool:
    try:
        return httpx.post(url, content=b"x").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def served(
    published: Settings, redis_server: Settings, kafka: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """One worker on the server's core, with a plan that does not limit it."""
    with psycopg.connect(published.require("dsn_owner")) as connection:
        connection.execute("UPDATE serving.rate_plan SET requests_per_second = 1000000, burst = 1000000")
    folder = tmp_path_factory.mktemp("serve")
    settings = published.model_copy(update={"log_json": True, "prediction_log_bytes": 2**30})
    with okr_serve(settings, folder, "--workers", "1", prefix=pinned([])) as served:
        yield served


@pytest.fixture(scope="module")
def usual(served: Served, published: Settings) -> tuple[str, dict[str, str], list[bytes]]:
    """The address, the headers and the bodies of usual requests, one key result each."""
    base = f"http://127.0.0.1:{served.port}"
    password = published.require("app_password")
    answer = until(lambda: _token(base, password), "the accounts are created")
    headers = {"Authorization": f"Bearer {answer}", "Content-Type": "application/json"}
    listed = httpx.get(f"{base}/v1/key-results?limit=1000", headers=headers).json()["key_results"]
    ids = [each["key_result_id"] for each in listed]
    predictions = httpx.post(f"{base}/predict", headers=headers, json={"key_result_ids": ids}, timeout=60).json()
    usual = [one["key_result_id"] for one in predictions["predictions"] if one["status"] == "forecast"]
    time.sleep(3)  # the forecasts are prepared in the background
    return f"{base}/predict", headers, [json.dumps({"key_result_ids": [each]}).encode() for each in usual]


def _token(base: str, password: str) -> str | None:
    answer = httpx.post(f"{base}/auth/token", data={"username": "app", "password": password}, timeout=30)
    return answer.json()["access_token"] if answer.status_code == 200 else None


def test_predictions_by_id_reach_most_of_the_rate_of_a_bare_echo(
    served: Served, usual: tuple[str, dict[str, str], list[bytes]], tmp_path: Path
) -> None:
    url, headers, bodies = usual
    script = post_script(tmp_path / "post.lua", bodies, headers)
    ours: list[Load] = []
    bare: list[Load] = []
    with echo() as (echo_process, echo_url):
        for server, address, runs in ((served.supervisor, url, ours), (echo_process, echo_url, bare)):
            run_wrk(address, script, server, seconds=2)  # warm up
            runs.clear()
        for _ in range(ROUNDS):
            bare.append(run_wrk(echo_url, script, echo_process, seconds=SECONDS))
            ours.append(run_wrk(url, script, served.supervisor, seconds=SECONDS))
    assert all(each.errors == 0 for each in ours)
    one = [run_wrk(url, script, served.supervisor, connections=1, seconds=SECONDS) for _ in range(ROUNDS)]
    rate, limit = median(ours, "rate"), median(bare, "rate")
    pause_ms = 64 / (0.7 * rate) * 1000
    paced = post_script(tmp_path / "paced.lua", bodies, headers, delay_ms=pause_ms)
    most = [run_wrk(url, paced, served.supervisor, seconds=SECONDS) for _ in range(ROUNDS)]
    print(
        f"\nload average {os.getloadavg()[0]:.1f}\n"
        f"echo      {limit:8,.0f}/s {median(bare, 'cpu_us'):6.1f} us CPU\n"
        f"/predict  {rate:8,.0f}/s {median(ours, 'cpu_us'):6.1f} us CPU, p50 {median(ours, 'p50_ms'):.2f} ms, "
        f"p99 {median(ours, 'p99_ms'):.2f} ms: ratio {rate / limit:.3f} (by CPU "
        f"{median(bare, 'cpu_us') / median(ours, 'cpu_us'):.3f})\n"
        f"one connection p50 {median(one, 'p50_ms'):.3f} ms, p99 {median(one, 'p99_ms'):.3f} ms\n"
        f"at {median(most, 'rate') / rate:.0%} of the rate: p50 {median(most, 'p50_ms'):.2f} ms, "
        f"p99 {median(most, 'p99_ms'):.2f} ms"
    )
    assert rate / limit >= MIN_RATIO
    assert median(one, "p50_ms") < MOST_ONE_P50_MS
    assert median(most, "p99_ms") < MOST_P99_MS


def test_memory_is_flat_over_many_requests(
    served: Served, usual: tuple[str, dict[str, str], list[bytes]], tmp_path: Path
) -> None:
    url, headers, bodies = usual
    script = post_script(tmp_path / "post.lua", bodies, headers)
    run_wrk(url, script, served.supervisor, seconds=5)
    processes = [served.supervisor, *served.workers()]
    before, sent = [each.memory_info().rss for each in processes], 0.0
    while sent < MEMORY_REQUESTS:
        sent += run_wrk(url, script, served.supervisor, seconds=10).rate * 10
    grown = [(each.memory_info().rss - start) / 1e6 for each, start in zip(processes, before, strict=True)]
    print(f"\nafter {sent:,.0f} requests: supervisor {grown[0]:+.1f} MB, worker {grown[1]:+.1f} MB")
    assert max(grown) < MOST_GROWTH_MB


def median(loads: list[Load], name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(getattr(each, name) for each in loads)
