"""The warehouse at 1, 3 and 10 times the demo's organisation: seconds per model, and the exponent of their growth.

An exponent of 1 is linear; it is the slope of the seconds over the rows, both as logarithms. One model is built at a
time, so that a model's seconds do not depend on its neighbours.
"""

import json
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import psycopg
import pytest

from expectations.gate import Place, judge
from expectations.marts import BUILT, GATE, suites
from lakehouse.settings import Settings
from lakehouse.warehouse import dbt_environment
from tests.benchmarks.bench_load import backend_seconds
from tests.benchmarks.organisations import fill

PROJECT = Path(__file__).parents[2] / "dbt_project"
SIZES = [int(size) for size in os.environ.get("OKR_BENCH_SIZES", "1,3,10").split(",")]
STEEPEST = 1.1
NOTICEABLE_S = 1.0  # at the largest size; what takes less is mostly dbt's own work for a model

NewDatabase = Callable[[], AbstractContextManager[Settings]]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope of log(seconds) over log(size), by least squares."""
    x, y = [math.log(each) for each in sizes], [math.log(max(each, 1e-3)) for each in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def build(settings: Settings, target: Path) -> dict[str, float]:
    """Build everything from nothing, one model at a time; return the seconds by model and data test."""
    paths = [f"--{kind}-dir={PROJECT}" for kind in ("project", "profiles")]
    paths += [f"--target-path={target}", f"--log-path={target / 'logs'}"]
    command = [str(Path(sys.executable).with_name("dbt")), "build", "--exclude-resource-type=unit_test", "--threads=1"]
    environment = os.environ | dbt_environment(settings)
    done = subprocess.run([*command, *paths], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {each["unique_id"].split(".")[2]: each["execution_time"] for each in results}


def gate_seconds(settings: Settings) -> float:
    """Judge the marts that were built; return the seconds without the import of the tool."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import great_expectations  # noqa: F401
    begun = time.perf_counter()
    report = judge(GATE, "bench", suites(), place=Place(settings.require("dsn_transform"), BUILT))
    assert report.passed, report.summary()
    return time.perf_counter() - begun


def server_cpu_seconds(settings: Settings) -> float:
    """CPU seconds of the server's backends that have ended."""
    with psycopg.connect(settings.require("dsn_owner")) as connection:
        postmaster = psutil.Process(connection.info.backend_pid).parent()
    return backend_seconds(postmaster)


@pytest.mark.timeout(3600)
def test_every_model_that_matters_grows_linearly(new_database: NewDatabase, tmp_path: Path) -> None:
    events: list[float] = []
    seconds: list[dict[str, float]] = []
    for size in SIZES:
        with new_database() as settings:
            events.append(sum(fill(settings, size).values()))
            cpu = server_cpu_seconds(settings)
            by_model = build(settings, tmp_path)
            by_model |= {
                "= all models and data tests": sum(by_model.values()),
                "= CPU of PostgreSQL": server_cpu_seconds(settings) - cpu,
            }
            seconds.append(by_model | {"= marts gate": gate_seconds(settings)})
    table = {
        name: ([each.get(name, 0.0) for each in seconds], exponent(SIZES, [each.get(name, 0.0) for each in seconds]))
        for name in seconds[-1]
    }
    print(f"\n{'events':<42}", *(f"{count:>9,.0f}" for count in events), " exponent")
    for name, (taken, slope) in sorted(table.items(), key=lambda item: item[1][0][-1]):
        print(f"{name:<42}", *(f"{each:>9.2f}" for each in taken), f"{slope:>9.2f}")
    steep = {name: slope for name, (taken, slope) in table.items() if taken[-1] >= NOTICEABLE_S and slope > STEEPEST}
    assert not steep, f"These grow faster than their rows: {steep}"
