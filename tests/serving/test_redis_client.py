"""The client of Redis for requests waits briefly, and survives a restart of Redis."""

import socket
import time
from contextlib import closing

import pytest
import redis

from lakehouse.settings import Settings
from serving.redis_client import redis_client


def test_a_frozen_redis_takes_a_request_no_longer_than_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        with (
            closing(redis_client(f"redis://127.0.0.1:{mute.getsockname()[1]}/0", limit_s=0.2)) as client,
            pytest.raises(redis.TimeoutError),
        ):
            client.get("k")
        assert time.monotonic() - started < 2, "by default, the library tries eleven times"


def test_requests_succeed_after_redis_closed_their_connections(
    redis_server: Settings, redis_admin: redis.Redis
) -> None:
    with closing(redis_client(redis_server.require("redis_url"))) as client:
        for _ in range(3):
            assert client.get("okr:nothing") is None
            redis_admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
