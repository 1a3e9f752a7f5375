"""A model swap and a publication under load: no request fails, and the tail latency hardly changes.

PostgreSQL, which copies the marts, and this process, which publishes them, run on wrk's core. On the server's core,
they would take its time slices, which a database on another host does not.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from lakehouse.publishing import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml.model_registry import MODEL_NAME
from tests.benchmarks.served_api import *  # noqa: F403 -- the fixtures
from tests.benchmarks.served_api import ROUNDS, Target, median
from tests.benchmarks.wrk import CLIENT_CORE, Load, post_script, run_wrk
from tests.figures import report
from tests.serving.conftest import *  # noqa: F403 -- the published organisation
from tests.serving.published_organisation import RUN, republish

pytestmark = pytest.mark.timeout(3_600)

SECONDS = 10
PAUSE_MS = 20.0  # between the requests of a connection: some 3,000 requests a second in all
MOST_FACTOR = 2.0
NOISE_MS = 1.0  # of a p99 below a few milliseconds on a shared machine


def test_swaps_and_publications_under_load_fail_no_request(
    target: Target, published: Settings, key_result_ids: list[str], tmp_path: Path
) -> None:
    move_to_client_core(published)
    bodies = [json.dumps({"key_result_ids": [each]}).encode() for each in key_result_ids]
    script = post_script(tmp_path / "paced.lua", bodies, target.headers, delay_ms=PAUSE_MS)
    answer = httpx.post(
        f"{target.url}/auth/token",
        data={"username": "admin", "password": published.require("admin_password")},
        timeout=30,
    )
    admin = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def swap(number: int) -> None:
        body = {"version": str(1 + number % 2)}
        loaded = httpx.post(f"{target.url}/models/{MODEL_NAME}/load", json=body, headers=admin, timeout=60)
        assert (loaded.status_code, loaded.json()["is_loaded"]) == (200, True)

    def publish(_number: int) -> None:
        republish_same(published)

    def load(change: Callable[[int], None] | None, changes: list[float]) -> Load:
        with during(change, changes):
            return run_wrk(f"{target.url}/predict", script, target.supervisor, seconds=SECONDS)

    loads: dict[str, list[Load]] = {}
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, change in (("nothing", None), ("model swaps", swap), ("publications", publish)):
            loads.setdefault(name, []).append(load(change, times.setdefault(name, [])))
    usual_ms = median(loads["nothing"], "p99_ms")
    report(
        "POST /predict by id during model swaps and publications",
        ("during", "changes", "requests/s", "failed", "p50 ms", "p99 ms", "p99 ratio"),
        [
            [
                name,
                f"{len(times[name])}",
                f"{median(found, 'rate'):,.0f}",
                f"{sum(each.errors for each in found)}",
                f"{median(found, 'p50_ms'):.2f}",
                f"{median(found, 'p99_ms'):.2f}",
                f"{median(found, 'p99_ms') / usual_ms:.2f}",
            ]
            for name, found in loads.items()
        ],
        f"Targets: no failed request, p99 at most {MOST_FACTOR:g} times that of the row `nothing`, plus "
        f"{NOISE_MS:g} ms. PostgreSQL and the process that publishes run on the core of wrk.",
    )
    for name, found in loads.items():
        assert sum(each.errors for each in found) == 0
        assert median(found, "p99_ms") <= MOST_FACTOR * usual_ms + NOISE_MS, name


def move_to_client_core(settings: Settings) -> None:
    """Let PostgreSQL, with all its processes, and this process run on wrk's core."""
    with connect(settings.require("dsn_owner")) as connection:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    server = psutil.Process(backend).parent()
    assert server is not None
    for process in (server, *server.children(), psutil.Process()):
        process.cpu_affinity([int(CLIENT_CORE)])


def republish_same(settings: Settings) -> None:
    """Publish the current marts again, as a new publication."""
    dsn = settings.require("dsn_transform")
    now = publication.current(dsn)
    assert now is not None
    marts_build.prepare_build(dsn, RUN)
    marts_build.copy_unchanged_marts(dsn, now.publication_id, ())
    republish(settings)


class during:  # noqa: N801 -- a context manager
    """Repeat a change once a second while the block runs, and keep how long each took. Errors end the block."""

    def __init__(self, change: Callable[[int], None] | None, took: list[float]) -> None:
        self._change = change
        self._took = took
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: Exception | None = None

    def __enter__(self) -> None:
        if self._change is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._change is not None:
            self._thread.join(60)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._ending.wait(1.0):
            started = time.perf_counter()
            try:
                if self._change is not None:
                    self._change(len(self._took))
            except Exception as error:
                self._error = error
                return
            self._took.append(time.perf_counter() - started)
