import pytest
import redis

from lakehouse.settings import Settings


def test_redis_requires_its_password(redis_server: Settings) -> None:
    url = redis_server.require("redis_url")
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    with (
        redis.Redis.from_url(f"redis://{url.rpartition('@')[2]}") as anonymous,
        pytest.raises(redis.AuthenticationError),
    ):
        anonymous.ping()


def test_redis_persists_nothing(redis_server: Settings) -> None:
    with redis.Redis.from_url(redis_server.require("redis_url")) as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_when_memory_is_full_forecasts_are_evicted_and_figures_stay(redis_server: Settings) -> None:
    with redis.Redis.from_url(redis_server.require("redis_url")) as client:
        client.set("figure", "5")
        for number in range(200):
            client.set(f"forecasts {number}", b"f" * 1_000_000, ex=900)
        assert client.info("stats")["evicted_keys"] > 0
        assert client.get("figure") == b"5"
        client.flushdb()
