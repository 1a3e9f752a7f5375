"""10,000 malformed bodies get only 4xx, each with a problem document."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from lakehouse.warehouse import connect
from serving.app import create_app
from serving.writes import examples
from serving.writes.operations import BY_EVENT_TYPE, Ending
from tests.serving.live_server import Api

BODIES = 10_000
STRANGE: list[Any] = [
    None, True, -1, 0, 1e308, -1e400, 10**400, "", " ", "x" * 3_000, "\x00", "\ud800", "\u200b", "a\nb", "NaN", "1",
    [], {}, [[]], {"a": {}}, "2026-02-30", "9999-12-31T00:00:00Z", "💥" * 200, "' OR 1=1 --", "../../etc/passwd",
]  # fmt: skip


def malformed(generator: random.Random) -> Iterator[tuple[str, str, bytes]]:
    """Yield the method, path and body of wrong requests: of wrong values, of wrong shape, and not JSON at all."""
    types = list(BY_EVENT_TYPE)
    for number in range(BODIES):
        written = BY_EVENT_TYPE[generator.choice(types)]
        data: dict[str, Any] = dict(examples.EXAMPLES[written.event_type])
        name = generator.choice([*data, "unknown"])
        data[name] = generator.choice([each for each in STRANGE if each != data.get(name)])
        if name not in data or number % 7 == 0:
            data.pop(generator.choice(list(data)))
        data["surely_unknown"] = 1  # so that no body is accepted by chance
        body: Any = data
        path = f"/v1/{written.collection}"
        if isinstance(written, Ending):
            path += f"/some-id/{written.verb}"
        if number % 3 == 0:
            path, body = "/v1/events", {"events": [{"type": written.event_type, "data": data}]}
        elif number % 11 == 0:
            body = generator.choice(STRANGE)
        text = json.dumps(body, allow_nan=True).encode()
        if number % 5 == 0:
            at = generator.randrange(len(text))
            text = text[:at] + bytes([generator.randrange(256)]) + text[at + generator.randrange(3) :]
        elif number % 13 == 0:
            text = b"[" * generator.choice([1, 500, 60_000])
        yield ("POST" if number % 17 else "PUT"), path, text


async def status_of(app: FastAPI, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Send a request to the application without a server or client in between, which take longer than the request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    kinds = dict(sent[0]["headers"])
    assert kinds[b"content-type"] == b"application/problem+json", (method, path, body[:300])
    return int(sent[0]["status"])


@pytest.fixture
def token(running_api: Api) -> Iterator[bytes]:
    """A token of an account without a noticeable rate limit."""
    change = "UPDATE auth.account SET plan = %s WHERE username = 'app'"
    with connect(running_api.settings.require("dsn_owner"), autocommit=True) as connection:
        ((before,),) = connection.execute("SELECT plan FROM auth.account WHERE username = 'app'").fetchall()
        connection.execute(change, ["internal"])
        yield running_api.headers()["Authorization"].encode()
        connection.execute(change, [before])


def test_malformed_bodies_get_only_4xx(running_api: Api, token: bytes) -> None:
    app = create_app(running_api.services)
    headers = [(b"host", b"127.0.0.1"), (b"authorization", token), (b"content-type", b"application/json")]

    async def send_all() -> Counter[int]:
        statuses: Counter[int] = Counter()
        for method, path, body in malformed(random.Random(12)):
            status = await status_of(app, method, path, headers, body)
            statuses[int(status)] += 1
            assert 400 <= status < 500, (status, method, path, body[:500])
        return statuses

    statuses = asyncio.run(send_all())
    assert set(statuses) <= {400, 404, 405, 413, 422}, statuses
    assert statuses[422] > BODIES / 2
    assert statuses.total() == BODIES
