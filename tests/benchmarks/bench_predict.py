"""POST /predict, compared with a bare ASGI echo on uvicorn in the same run: the ratio of the rates.

The server is pinned to one core and wrk to the other. Each figure is the median of ROUNDS runs that alternate between
the servers. CPU time per request includes the supervisor, which sends the events.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.settings import Settings
from ml import model_registry
from ml.golden_rows import ROWS
from tests.benchmarks.served_api import *  # noqa: F403 -- the fixtures
from tests.benchmarks.served_api import HEADER, ROUNDS, SECONDS, Contender, Target, compare, echo, median, row_of
from tests.benchmarks.wrk import post_script, run_wrk
from tests.figures import report
from tests.serving.conftest import *  # noqa: F403 -- the published organisation

pytestmark = pytest.mark.timeout(3_600)

MEMORY_REQUESTS = int(os.environ.get("OKR_BENCH_MEMORY_REQUESTS", "1000000"))
MIN_RATIO_BY_ID = 0.55
MIN_RATIO_BY_FEATURES = 0.45
MIN_RATIO_WITH_REASONS = 0.15
MIN_RATIO_OF_BATCH = 0.7
PACE = 0.7  # of the rate that was measured without pauses
MOST_P99_MS = 5.0
MOST_ONE_P50_MS = 0.2
MOST_GROWTH_MB = 16
BATCH = 1_000


def bodies_by_id(ids: list[str]) -> list[bytes]:
    """Return a request for each key result."""
    return [json.dumps({"key_result_ids": [each]}).encode() for each in ids]


def bodies_by_features(**options: Any) -> list[bytes]:
    """Return a request for each golden row with check-ins."""
    return [json.dumps({"features": dict(row), **options}).encode() for row in ROWS if row["check_ins"]]


def test_predictions_by_id_reach_most_of_the_rate_of_a_bare_echo(
    target: Target, key_result_ids: list[str], tmp_path: Path
) -> None:
    url, server, bodies = f"{target.url}/predict", target.supervisor, bodies_by_id(key_result_ids)
    script = post_script(tmp_path / "post.lua", bodies, target.headers)
    with echo() as (echo_process, echo_url):
        loads = compare(Contender("echo", echo_process, echo_url, script), Contender("by id", server, url, script))
    ours, bare = loads["by id"], loads["echo"]
    one = [run_wrk(url, script, server, connections=1, seconds=SECONDS) for _ in range(ROUNDS)]
    rate = median(ours, "rate")
    paced = post_script(tmp_path / "paced.lua", bodies, target.headers, delay_ms=64 / (PACE * rate) * 1000)
    most = [run_wrk(url, paced, server, seconds=SECONDS) for _ in range(ROUNDS)]
    reached = median(most, "rate") / rate
    report(
        "POST /predict by key result id",
        HEADER,
        [
            row_of("bare echo", bare, bare),
            row_of("by id, 64 connections", ours, bare),
            row_of("by id, 1 connection", one, bare),
            row_of(
                f"by id, 64 connections, paced at {PACE:.0%} of the maximum rate ({reached:.0%} reached)", most, bare
            ),
        ],
        f"Targets: rate ratio {MIN_RATIO_BY_ID}, p50 of one connection {MOST_ONE_P50_MS} ms, p99 of the "
        f"paced run {MOST_P99_MS:g} ms.",
    )
    assert rate / median(bare, "rate") >= MIN_RATIO_BY_ID
    assert median(one, "p50_ms") < MOST_ONE_P50_MS
    assert median(most, "p99_ms") < MOST_P99_MS


def test_predictions_by_features_reach_a_share_of_the_rate_of_a_bare_echo(target: Target, tmp_path: Path) -> None:
    url, server = f"{target.url}/predict", target.supervisor
    short = post_script(tmp_path / "short.lua", bodies_by_features(reasons=False), target.headers)
    long = post_script(tmp_path / "long.lua", bodies_by_features(), target.headers)
    with echo() as (echo_process, echo_url):
        loads = compare(
            Contender("echo", echo_process, echo_url, short),
            Contender("without reasons", server, url, short),
            Contender("with reasons", server, url, long),
        )
    bare = loads["echo"]
    report(
        "POST /predict by one row of features",
        HEADER,
        [row_of("bare echo" if name == "echo" else name, each, bare) for name, each in loads.items()],
        f"Targets: rate ratio {MIN_RATIO_BY_FEATURES} without and {MIN_RATIO_WITH_REASONS} with reasons.",
    )
    assert median(loads["without reasons"], "rate") / median(bare, "rate") >= MIN_RATIO_BY_FEATURES
    assert median(loads["with reasons"], "rate") / median(bare, "rate") >= MIN_RATIO_WITH_REASONS


def test_a_batch_of_features_takes_little_more_than_the_model(target: Target, published: Settings) -> None:
    model = model_registry.load(published, "champion")
    rows = [{**dict(ROWS[at % len(ROWS)]), "elapsed_ratio": at / BATCH} for at in range(BATCH)]
    body = json.dumps({"features": rows}).encode()
    model.forecast(rows)
    alone, served = [], []
    with httpx.Client(headers=target.headers, timeout=60) as client:
        for _ in range(2 * ROUNDS):
            started = time.perf_counter()
            model.forecast(rows)
            alone.append(time.perf_counter() - started)
            started = time.perf_counter()
            assert client.post(f"{target.url}/predict", content=body).status_code == 200
            served.append(time.perf_counter() - started)
    in_process_ms, request_ms = statistics.median(alone) * 1000, statistics.median(served) * 1000
    report(
        f"{BATCH:,} rows of features in one request",
        ("", "ms", "ratio"),
        [
            ["the model in this process", f"{in_process_ms:.1f}", "1.00"],
            ["POST /predict", f"{request_ms:.1f}", f"{in_process_ms / request_ms:.2f}"],
        ],
        f"Target: ratio {MIN_RATIO_OF_BATCH}.",
    )
    assert in_process_ms / request_ms >= MIN_RATIO_OF_BATCH


def test_memory_is_flat_over_many_requests(target: Target, key_result_ids: list[str], tmp_path: Path) -> None:
    url, server = f"{target.url}/predict", target.supervisor
    script = post_script(tmp_path / "post.lua", bodies_by_id(key_result_ids), target.headers)
    run_wrk(url, script, server, seconds=5)
    processes = [server, *target.served.workers()]
    before, sent = [each.memory_info().rss for each in processes], 0.0
    while sent < MEMORY_REQUESTS:
        sent += run_wrk(url, script, server, seconds=10).rate * 10
    grown = [(each.memory_info().rss - start) / 1e6 for each, start in zip(processes, before, strict=True)]
    report(
        "Memory",
        ("", "MB before", "growth in MB"),
        [
            [name, f"{start / 1e6:.0f}", f"{more:+.1f}"]
            for name, start, more in zip(("supervisor", "worker"), before, grown, strict=False)
        ],
        f"Growth after {sent:,.0f} requests by id. Target: less than {MOST_GROWTH_MB} MB.",
    )
    assert max(grown) < MOST_GROWTH_MB
