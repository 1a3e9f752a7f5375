"""The live figures follow as server-sent events, to a bounded number of clients that hold no thread."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import httpx
import pytest
import redis

from ingestion.state.redis_figures import RealtimeFigures, open_redis
from ingestion.state.store import StateStore
from lakehouse.errors import RetryableError
from lakehouse.warehouse import connect
from serving.data import live_stream
from serving.data.live_figures import LiveFigures
from serving.data.live_stream import LiveStream
from tests.polling import until
from tests.serving.live_server import Api

PATH = "/v1/system-health/stream"


@contextmanager
def following(api: Api, headers: dict[str, str]) -> Iterator[Iterator[str]]:
    """The lines of a stream."""
    with (
        httpx.Client(base_url=api.client.base_url, timeout=20) as client,
        client.stream("GET", PATH, headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer.iter_lines()


def next_event(lines: Iterator[str]) -> tuple[str, object]:
    """Return the next event's name and data; comments and `retry` are passed over."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")


def test_each_change_follows_within_seconds(api: Api, app_headers: dict[str, str]) -> None:
    with (
        closing(open_redis(api.settings.require("redis_state_url"))) as client,
        connect(api.settings.require("dsn_loader")) as connection,
        following(api, app_headers) as lines,
    ):
        figures = RealtimeFigures(client, "test-stream", StateStore(connection, "cluster", "test-stream"))
        next_event(lines)
        for lag in (3, 4):
            figures.write({("topic", 0): lag})
            started = time.monotonic()
            seen = None
            while seen != lag:
                name, data = next_event(lines)
                assert name == "figures"
                seen = data["consumer_lag"].get("test-stream", {}).get("value")
            assert time.monotonic() - started < 5


def test_more_clients_than_threads_are_served_and_leaving_clients_are_noticed(
    api: Api, app_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "MAX_CLIENTS", 60)  # anyio has 40 threads
    monkeypatch.setattr(live_stream, "MAX_PER_ACCOUNT", 60)
    stream = api.services.live_stream
    until(lambda: stream.clients == 0, "the clients of other tests have left", 20)
    with ExitStack() as stack:
        followed = [stack.enter_context(following(api, app_headers)) for _ in range(60)]
        for lines in followed:
            next_event(lines)
        started = time.monotonic()
        assert api.client.get("/v1/publication", headers=app_headers).status_code == 200
        assert time.monotonic() - started < 5
        assert stream.clients == 60
        with (
            httpx.Client(base_url=api.client.base_url) as client,
            client.stream("GET", PATH, headers=app_headers) as refused,
        ):
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    until(lambda: stream.clients == 0, "all clients have left", 20)


def test_the_stream_ends_with_the_login_and_sends_heartbeats_until_then(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGIN_CHECK_S", "READ_S", "HEARTBEAT_S"):
        monkeypatch.setattr(live_stream, name, 0.05)
    checks = iter([True, True, True, False])
    nowhere = redis.Redis.from_url("redis://127.0.0.1:9/0", socket_connect_timeout=0.5)

    async def follow() -> list[bytes]:
        stream = LiveStream(LiveFigures(nowhere))
        return [event async for event in stream.events("app", lambda: next(checks))]

    events = asyncio.run(asyncio.wait_for(follow(), 20))
    assert events[0] == b"retry: 3000\n\n"
    assert b"event: unavailable\ndata: null\n\n" in events, "Redis does not respond"
    assert b": heartbeat\n\n" in events
    assert events[-1].startswith(b"event: end\n")
    assert api.client.get(PATH).status_code == 401


def test_streams_end_when_the_server_stops(api: Api) -> None:
    async def follow() -> int:
        stream = LiveStream(api.services.live)
        events = stream.events("app", lambda: True)
        await anext(events)
        stream.stop()
        with pytest.raises(RetryableError):
            stream.check_capacity("app")
        return len([event async for event in events])

    assert asyncio.run(asyncio.wait_for(follow(), 20)) <= 2


def test_one_account_leaves_room_for_the_clients_of_others(api: Api) -> None:
    async def follow() -> list[int]:
        stream = LiveStream(api.services.live)
        followed = [stream.events("app", lambda: True) for _ in range(live_stream.MAX_PER_ACCOUNT)]
        for events in followed:
            stream.check_capacity("app")
            await anext(events)
        stream.check_capacity("admin")
        with pytest.raises(RetryableError, match="of an account"):
            stream.check_capacity("app")
        clients = [stream.clients]
        for events in followed:
            await events.aclose()  # type: ignore[attr-defined]
            stream.check_capacity("app")
            clients.append(stream.clients)
        return clients

    assert asyncio.run(asyncio.wait_for(follow(), 20)) == list(range(live_stream.MAX_PER_ACCOUNT, -1, -1))
