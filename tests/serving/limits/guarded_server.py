"""A server with short limits behind the request guard, and clients that read and write raw bytes."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send

from infra.local.ports import choose
from serving.fast_path.fast_protocol import limited
from serving.http.access_log import RequestLine
from serving.http.body_budget import BodyBudget
from serving.http.request_guard import RequestGuard
from serving.limits.rate_plan import SEEDED
from serving.limits.slow_clients import ConnectionLimits
from serving.limits.token_leases import Decision
from tests.background_logs import LOGGING_CONFIG

LIMITS = ConnectionLimits(headers_s=0.5, headers_bytes=4_000, write_s=0.5, connections=20)
BODY_LIMIT_S = 0.5
TRICKLE_S = 0.05  # between two bytes of a slow client
SLOW_S = 0.8  # longer than a client may take for its headers
LATE_S = 4.0  # by which every slow client must have been cut off


class Server:
    """A server with a small application behind the guard; `lines` is its access log."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: list[RequestLine] = []
        self.stream_ended = threading.Event()

    def get(self) -> int:
        return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5).status_code

    @contextmanager
    def connection(self, receive_buffer: int | None = None) -> Iterator[socket.socket]:
        with socket.socket() as client:
            if receive_buffer is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            client.settimeout(10)
            client.connect(("127.0.0.1", self.port))
            yield client


async def answer_length(receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"%d" % len(body), "more_body": False})


async def stream(send: Send) -> None:
    """Send 640 MB, which end only when the client has read them or is disconnected."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(10_000):
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": number < 9_999})


@contextmanager
def guarded_server() -> Iterator[Server]:
    """Run the server."""
    running = Server(choose(set()))
    decision = Decision(True, SEEDED[0], 1, 0.0)
    known = SimpleNamespace(decision=decision, address=None)
    stranger = SimpleNamespace(decision=decision, address="address:192.0.2.1")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stream":
            await stream(send)
            running.stream_ended.set()
        elif scope["path"] == "/names":
            names = b",".join(name for name, _ in scope["headers"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": names})
        else:
            await asyncio.sleep(SLOW_S if scope["path"] == "/slow" else 0)
            await answer_length(receive, send)

    guard = RequestGuard(
        app, api_url="http://127.0.0.1", admit=lambda authorization, *_: stranger if authorization else known,
        observe=lambda *_: None, log=running.lines.append, body_limit_s=BODY_LIMIT_S,
        bodies=BodyBudget(150_000, strangers_bytes=100_000, address_bytes=50_000),
    )  # fmt: skip
    config = uvicorn.Config(
        guard, host="127.0.0.1", port=running.port, http=limited(LIMITS), ws="none", access_log=False, lifespan="off",
        log_config=LOGGING_CONFIG,
    )  # fmt: skip
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run)
    thread.start()
    while not uvicorn_server.started:
        time.sleep(0.01)
    yield running
    uvicorn_server.should_exit = True
    thread.join(10)


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    found = b""
    try:
        while part := client.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


def trickle(client: socket.socket, text: bytes) -> None:
    """Send one byte every TRICKLE_S until all are sent or the connection is closed."""
    try:
        for byte in text:
            client.sendall(bytes([byte]))
            time.sleep(TRICKLE_S)
    except OSError:
        pass
