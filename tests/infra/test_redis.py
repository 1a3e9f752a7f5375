import pytest
import redis

from lakehouse.settings import Settings


def test_redis_answers_its_password_alone(redis_server: Settings) -> None:
    url = redis_server.require("redis_url")
    with redis.Redis.from_url(url) as known:
        assert known.ping()
    with (
        redis.Redis.from_url(f"redis://{url.rpartition('@')[2]}") as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_redis_keeps_no_file_behind(redis_server: Settings) -> None:
    with redis.Redis.from_url(redis_server.require("redis_url")) as client:
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
