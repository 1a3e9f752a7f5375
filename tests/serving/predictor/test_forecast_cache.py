"""One worker computes the forecasts of a publication and version; the others read them from Redis."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import redis

from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.key_result_answers import CachedForecast, CurrentForecasts, NoForecast
from serving.publication_reader import Publication

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
FORECAST = CachedForecast(NOW, NOW, "c", "t", {"probability": 0.25}, ("a reason",), {"base": -1.0}, -1.0)
FORECASTS = CurrentForecasts(
    {"k": FORECAST, "closed": NoForecast("closed", "closed", "It was closed.", 0.8, True)}, [("k", "old", FORECAST)]
)


@pytest.fixture
def client(redis_admin: "redis.Redis") -> "redis.Redis":
    return redis_admin


def publication(number: int, published_at: datetime = NOW) -> Publication:
    return Publication(number, published_at, NOW, None)


def computed() -> CurrentForecasts:
    raise AssertionError("the forecasts were computed again")


def test_workers_that_ask_at_once_compute_once_and_get_equal_forecasts(client: "redis.Redis") -> None:
    calls, begin = [], threading.Barrier(6)

    def compute() -> CurrentForecasts:
        calls.append(1)
        time.sleep(0.3)
        return FORECASTS

    def worker(_number: int) -> CurrentForecasts:
        cache = ForecastCache(client)
        begin.wait(10)
        return cache.get_or_compute(publication(1), "m/1", compute)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(worker, range(6)))
    assert found == [FORECASTS] * 6
    assert len(calls) == 1


def test_another_version_publication_or_database_has_its_own_forecasts(client: "redis.Redis") -> None:
    cache, other = ForecastCache(client), CurrentForecasts({})
    assert cache.get_or_compute(publication(2), "m/1", lambda: FORECASTS) == FORECASTS
    assert cache.get_or_compute(publication(2), "m/1", computed) == FORECASTS
    republished = publication(2, NOW.replace(microsecond=1))
    for key in ((publication(2), "m/2"), (publication(3), "m/1"), (republished, "m/1")):
        assert cache.get_or_compute(*key, lambda: other) == other


def test_a_worker_that_died_while_computing_does_not_block_the_others(
    client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.predictor.forecast_cache.COMPUTING_S", 0.2)

    def die() -> CurrentForecasts:
        raise SystemExit

    monkeypatch.setattr(ForecastCache, "_unlock", lambda *_: None)
    with pytest.raises(SystemExit):
        ForecastCache(client).get_or_compute(publication(4), "m/1", die)
    started = time.monotonic()
    assert ForecastCache(client).get_or_compute(publication(4), "m/1", lambda: FORECASTS) == FORECASTS
    assert time.monotonic() - started < 5


def test_an_unreadable_value_or_no_redis_means_computing(client: "redis.Redis") -> None:
    cache = ForecastCache(client)
    cache.get_or_compute(publication(5), "m/1", lambda: FORECASTS)
    (key,) = client.keys("okr:forecasts:v3:5@*")
    client.set(key, b"another release wrote this")
    assert cache.get_or_compute(publication(5), "m/1", lambda: CurrentForecasts({})) == CurrentForecasts({})
    away = ForecastCache(redis.Redis(port=9))
    assert away.get_or_compute(publication(5), "m/1", lambda: FORECASTS) == FORECASTS
