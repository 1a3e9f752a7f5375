"""Slow and broken clients on real sockets: each is cut off in time, and others are served meanwhile."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from infra.local.ports import choose
from serving.fast_path.fast_protocol import limited
from serving.http.access_log import RequestLine
from serving.http.request_guard import RequestGuard
from serving.limits.rate_limiter import Decision
from serving.limits.rate_plan import SEEDED
from serving.limits.slow_clients import ConnectionLimits
from tests.background_logs import LOGGING_CONFIG

LIMITS = ConnectionLimits(headers_s=0.5, headers_bytes=4_000, write_s=0.5, connections=20)
BODY_LIMIT_S = 0.5
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


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server(choose(set()))
    allowed = SimpleNamespace(decision=Decision(True, SEEDED[0], 1, 0.0))

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
        app, api_url="http://127.0.0.1", admit=lambda *_: allowed, observe=lambda *_: None, log=running.lines.append,
        body_limit_s=BODY_LIMIT_S, bodies_bytes=150_000,
    )  # fmt: skip
    config = uvicorn.Config(
        guard, host="127.0.0.1", port=running.port, http=limited(LIMITS), access_log=False, lifespan="off",
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
    """Send one byte every 50 ms until all are sent or the connection is closed."""
    try:
        for byte in text:
            client.sendall(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        pass


def test_headers_that_trickle_are_cut_off_and_others_are_served_meanwhile(server: Server) -> None:
    with server.connection() as client:
        sender = threading.Thread(
            target=trickle, args=(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200)
        )
        started = time.monotonic()
        sender.start()
        assert server.get() == 200
        answer = read_all(client)
        took_s = time.monotonic() - started
        sender.join()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert LIMITS.headers_s <= took_s + 0.1 < LATE_S


def test_a_connection_that_sends_nothing_is_closed(server: Server) -> None:
    with server.connection() as client:
        started = time.monotonic()
        read_all(client)
        assert time.monotonic() - started < LATE_S


def test_a_connection_that_stays_idle_after_a_response_is_closed_and_a_busy_one_is_not(server: Server) -> None:
    with httpx.Client() as busy, server.connection() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = busy.get(f"http://127.0.0.1:{server.port}/")
        stream = first.extensions["network_stream"]
        for _ in range(8):
            time.sleep(0.1)
            answer = busy.get(f"http://127.0.0.1:{server.port}/")
            assert answer.extensions["network_stream"] is stream, "the connection was kept"
        started = time.monotonic()
        assert read_all(idle).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started < LATE_S


@pytest.mark.parametrize("first", [b"/", b"/slow"])
def test_slow_responses_are_no_slow_clients_even_if_requests_are_pipelined(server: Server, first: bytes) -> None:
    with server.connection() as client:
        client.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % first)
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = read_all(client)
    assert (answers.count(b"HTTP/1.1 200 "), answers.count(b"HTTP/1.1 408 ")) == (2, 0)


def test_headers_without_end_are_refused(server: Server) -> None:
    with server.connection() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: xxxxxxxx\r\n" * 500)
        assert problem_of(read_all(client), 431) == "urn:okr:problem:headers-too-large"


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n"], ids=["text", "url"]
)
def test_what_is_no_http_gets_a_problem_document(server: Server, sent: bytes) -> None:
    with server.connection() as client:
        client.sendall(sent)
        answer = read_all(client)
    status = int(answer.split()[1])
    assert problem_of(answer, status) == {
        400: "urn:okr:problem:no-http", 431: "urn:okr:problem:headers-too-large",
    }[status]  # fmt: skip


def problem_of(answer: bytes, status: int) -> str:
    """Return the type of the problem document in an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head.lower()
    assert b"content-length: %d" % len(body) in head.lower()
    problem = json.loads(body)
    assert (problem["status"], bool(problem["detail"])) == (status, True)
    return str(problem["type"])


X = b"x" * 4_000
LARGE = (b"GET / HTTP/1.1\r\nX: " + X, b"GET /?%b HTTP/1.1" % X, b"GET / HTTP/1.1" + b"\r\nX:" * 1_000)


@pytest.mark.parametrize("head", LARGE, ids=["value", "target", "number"])
def test_large_headers_are_refused_also_if_they_are_complete_at_once(server: Server, head: bytes) -> None:
    with server.connection() as client:
        client.sendall(head + b"\r\nHost: localhost\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 431 ")
    assert server.get() == 200


def test_a_body_that_trickles_is_answered_with_a_problem_and_cut_off(server: Server) -> None:
    with server.connection() as client:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        client.sendall(head)
        sender = threading.Thread(target=trickle, args=(client, b"x" * 99))
        started = time.monotonic()
        sender.start()
        assert server.get() == 200
        answer = read_all(client)
        took_s = time.monotonic() - started
        sender.join()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:okr:problem:body-too-slow" in answer
    assert BODY_LIMIT_S <= took_s + 0.1 < LATE_S
    assert server.lines[-1].refused_by == "body-too-slow"


def test_a_body_of_many_parts_arrives_whole(server: Server) -> None:
    with server.connection() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for _ in range(5):
            client.sendall(b"3\r\nabc\r\n")
            time.sleep(0.02)
        client.sendall(b"0\r\n\r\n")
        assert read_all(client).endswith(b"15\r\n0\r\n\r\n")


def test_trailers_do_not_become_headers(server: Server) -> None:
    with server.connection() as client:
        client.sendall(
            b"POST /names HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
        )
        answer = read_all(client)
    assert b"transfer-encoding" in answer
    assert b"authorization" not in answer


def test_bodies_that_are_too_large_together_are_refused_until_the_others_have_gone(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n"
    with server.connection() as first, server.connection() as second:
        first.sendall(head + b"x" * 99_999)
        time.sleep(0.2)
        second.sendall(head + b"x" * 99_999)
        assert read_all(second).startswith(b"HTTP/1.1 503 ")
        first.sendall(b"x")
        assert read_all(first).endswith(b"100000\r\n0\r\n\r\n")
    with server.connection() as third:
        third.sendall(head + b"x" * 100_000)
        assert read_all(third).endswith(b"100000\r\n0\r\n\r\n")


def test_a_refused_body_that_goes_on_trickling_does_not_keep_the_connection(server: Server) -> None:
    with server.connection() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n")
        sender = threading.Thread(target=trickle, args=(client, b"x" * 60))
        started = time.monotonic()
        sender.start()
        assert read_all(client).startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - started < LATE_S
        sender.join()


def test_a_client_that_leaves_in_the_middle_of_its_body_is_noted(server: Server) -> None:
    before = len(server.lines)
    with server.connection() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    deadline = time.monotonic() + LATE_S
    while len(server.lines) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.lines[-1].status == 499


def test_a_client_that_does_not_read_is_cut_off(server: Server) -> None:
    server.stream_ended.clear()
    with server.connection(receive_buffer=4_096) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert server.stream_ended.wait(5 * LATE_S)


def test_connections_beyond_the_limit_are_refused_and_accepted_again_later(server: Server) -> None:
    clients: list[Any] = []
    try:
        for _ in range(LIMITS.connections):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            clients.append(client)
        with server.connection() as extra:
            assert read_all(extra).startswith(b"HTTP/1.1 503 ")
    finally:
        for client in clients:
            client.close()
    time.sleep(0.1)
    assert server.get() == 200
