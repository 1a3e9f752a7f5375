"""What the cache of forecasts in Redis costs and saves: reading it, compared with computing the forecasts again.

Every worker needs the forecasts of each publication once. Without the cache, every worker would compute them.
"""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis

from lakehouse.settings import Settings
from ml import model_registry
from serving.models.key_result_forecast import MODEL
from serving.models.key_result_forecast.model import ForecastScorer
from serving.models.loaded_version import LoadedVersion
from serving.models.served_model import Trained
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.forecast_tables import score_rows
from serving.predictor.key_result_answers import CurrentForecasts
from serving.publication_reader import Publication, Warehouse
from tests.benchmarks.served_api import *  # noqa: F403 -- the fixtures
from tests.figures import report
from tests.serving.conftest import *  # noqa: F403 -- the published organisation

pytestmark = pytest.mark.timeout(3_600)

ROUNDS = 7
COPIES = 10  # the small organisation has few key results


def test_reading_the_cache_takes_less_cpu_than_computing(
    full_model: str,
    published: Settings,
    redis_server: Settings,
) -> None:
    version = LoadedVersion(
        MODEL, full_model, "champion", Trained(ForecastScorer(model_registry.load(published, full_model)))
    )
    warehouse = Warehouse(published.require("dsn_serving"))
    warehouse.open()
    try:
        read = MODEL.key_result_rows
        assert read is not None
        rows = warehouse.read(lambda reader: read(reader, None)).value
    finally:
        warehouse.close()
    rows = [{**row, "key_result_id": f"{row['key_result_id']}-{copy}"} for copy in range(COPIES) for row in rows]

    def compute() -> CurrentForecasts:
        return CurrentForecasts({key[0]: each for key, each in score_rows(version, rows).items()})

    publication = Publication(1, datetime.now(UTC), datetime.now(UTC), None)
    client = redis.Redis.from_url(redis_server.require("redis_url"))
    cache = ForecastCache(client)
    cache.clear()
    computed = _seconds(compute)
    forecasts = compute()
    stored = _seconds(lambda: cache.get_or_compute(publication, "stored/1", lambda: forecasts), cache.clear)
    cache.get_or_compute(publication, "hit/1", lambda: forecasts)
    found = _seconds(lambda: cache.get_or_compute(publication, "hit/1", compute))
    (entry,) = [each for each in cache.entries() if "hit/1" in each.key]
    cache.clear()
    report(
        "The forecasts of a publication",
        ("", "CPU ms", "wall ms"),
        [
            [name, f"{cpu * 1000:.1f}", f"{wall * 1000:.1f}"]
            for name, (cpu, wall) in (("compute", computed), ("write to Redis", stored), ("read from Redis", found))
        ],
        f"{len(forecasts.answers):,} forecasts, {entry.bytes / 1e6:.2f} MB in Redis. With n workers, the cache saves "
        f"(n - 1) x (compute - read), and costs one write. Target: reading takes less CPU time than computing.",
    )
    assert found[0] < computed[0]
    assert found[0] + stored[0] < 2 * computed[0], "two workers gain nothing from the cache"


def _seconds(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> tuple[float, float]:
    """Return the medians of CPU and wall-clock seconds."""
    cpu, wall = [], []
    for _ in range(ROUNDS):
        before()
        started, spent = time.perf_counter(), time.process_time()
        work()
        cpu.append(time.process_time() - spent)
        wall.append(time.perf_counter() - started)
    return statistics.median(cpu), statistics.median(wall)
