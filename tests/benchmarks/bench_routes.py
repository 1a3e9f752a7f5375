"""Ordinary routes, compared with plain FastAPI routes that run the same SQL and serialise the same models.

The plain routes are written as FastAPI's documentation shows it: psycopg begins their transactions, and FastAPI runs
the endpoint in one thread and validates its result in another. The CPU time of ours is that of the worker and of the
supervisor, with all their background threads (when idle, about 1 % of a core).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from infra.local.ports import choose
from lakehouse.settings import Settings
from tests.benchmarks.bare_routes import LIMIT
from tests.benchmarks.served_api import *  # noqa: F403 -- the fixtures
from tests.benchmarks.served_api import HEADER, Contender, Target, compare, is_listening, median, row_of
from tests.benchmarks.wrk import get_script, pinned
from tests.figures import report
from tests.polling import until
from tests.serving.conftest import *  # noqa: F403 -- the published organisation

pytestmark = pytest.mark.timeout(3_600)

MIN_RATIO = 0.8
CONNECTIONS = 16


@pytest.fixture(scope="module")
def bare(published: Settings) -> Iterator[tuple[psutil.Process, str]]:
    """The plain routes, on the server's core."""
    port = choose(set())
    environment = {**os.environ, "OKR_DSN_SERVING": published.require("dsn_serving")}
    command = pinned([sys.executable, "-m", "tests.benchmarks.bare_routes", str(port)])
    process = subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2])
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: is_listening(url), "the plain routes answer")
        yield psutil.Process(process.pid), url
    finally:
        process.terminate()
        process.wait(10)


def test_ordinary_routes_reach_most_of_the_rate_of_plain_ones(
    target: Target, bare: tuple[psutil.Process, str], key_result_ids: list[str], tmp_path: Path
) -> None:
    one = [f"/v1/key-results/{quote(each)}" for each in key_result_ids if "/" not in each]
    rows, ratios = [], {}
    for name, paths in (("one key result", one), (f"{LIMIT} key results", [f"/v1/key-results?limit={LIMIT}"])):
        script = get_script(tmp_path / "get.lua", paths, target.headers)
        loads = compare(
            Contender("plain", bare[0], bare[1], script),
            Contender("ours", target.supervisor, target.url, script),
            connections=CONNECTIONS,
        )
        rows += [
            row_of(f"{name}, plain FastAPI", loads["plain"], loads["plain"]),
            row_of(f"{name}, ours", loads["ours"], loads["plain"]),
        ]
        ratios[name] = median(loads["ours"], "rate") / median(loads["plain"], "rate")
    report(
        "Ordinary routes",
        HEADER,
        rows,
        f"{CONNECTIONS} connections. The CPU time is that of the server, without PostgreSQL. Target: rate ratio "
        f"{MIN_RATIO}.",
    )
    assert min(ratios.values()) >= MIN_RATIO, ratios
