"""Requests that the fast path holds back in uvicorn's protocol class, as bytes on a connection."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
import redis
import uvicorn
from starlette.types import Receive, Scope, Send

from infra.local.ports import choose
from ml.golden_rows import ROWS
from serving.fast_path.fast_protocol import (
    HOLD_S,
    LARGEST_HEAD_BYTES,
    MOST_HEADS,
    FastApplication,
    Head,
    Header,
    limited,
)
from serving.limits.rate_plan import RatePlan
from serving.limits.slow_clients import ConnectionLimits
from tests.background_logs import LOGGING_CONFIG
from tests.polling import until
from tests.serving.live_server import Api

FEATURES = json.dumps({"features": dict(ROWS[0])}).encode()


@pytest.fixture(scope="module")
def token(running_api: Api) -> bytes:
    """An app's token, which is verified once."""
    until(running_api.services.prediction.current_answers.newest, "the answers are prepared")
    headers = running_api.headers("app")
    assert running_api.client.get("/v1/key-results", headers=headers).status_code == 200
    return headers["Authorization"].encode()


@pytest.fixture
def connection(running_api: Api) -> Iterator[socket.socket]:
    """A connection to the server."""
    with socket.create_connection(("127.0.0.1", running_api.client.base_url.port or 80), timeout=20) as connection:
        yield connection


def request(token: bytes, body: bytes = FEATURES, *, version: bytes = b"1.1", extra: bytes = b"") -> bytes:
    head = b"POST /predict HTTP/%b\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: %b\r\n%b"
    return head % (version, token, extra) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def answers(connection: socket.socket, number: int) -> list[tuple[int, bytes]]:
    """Read a number of responses, and return the status and the head of each."""
    data, found = b"", []
    while len(found) < number:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(rest) >= int(length[1]):
            found.append((int(head[9:12]), head))
            data = rest[int(length[1]) :]
            continue
        part = connection.recv(65_536)
        assert part, data
        data += part
    assert data == b""
    return found


def test_pipelined_requests_are_answered_in_order(connection: socket.socket, token: bytes) -> None:
    slow = b"GET /v1/publication HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n\r\n" % token
    fast = [request(token, extra=b"X-Request-ID: request-number-%d\r\n" % number) for number in range(4)]
    connection.sendall(fast[0] + fast[1] + slow + fast[2] + b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + fast[3])
    found = answers(connection, 6)
    assert [status for status, _ in found] == [200] * 6
    ids = [re.search(rb"x-request-id: (\S+)", head) for _, head in found]
    assert [ids[at][1] for at in (0, 1, 3, 5) if ids[at]] == [b"request-number-%d" % number for number in range(4)]


@pytest.mark.parametrize("pause_s", [0.01, 2 * HOLD_S])
def test_a_body_in_several_parts_is_answered(connection: socket.socket, token: bytes, pause_s: float) -> None:
    whole = request(token)
    for size in (1, 100, len(whole) - 1, len(whole) - 200):
        connection.sendall(whole[:size])
        time.sleep(pause_s)
        connection.sendall(whole[size:])
        assert [status for status, _ in answers(connection, 1)] == [200]


@pytest.mark.parametrize("pause_s", [0.0, 0.01])
def test_an_upgrade_is_ignored(connection: socket.socket, token: bytes, pause_s: float) -> None:
    head, end, body = request(token, extra=b"Connection: Upgrade\r\nUpgrade: h2c\r\n").partition(b"\r\n\r\n")
    for _ in range(3):
        connection.sendall(head + end if pause_s else head + end + body)
        time.sleep(pause_s)
        connection.sendall(body if pause_s else b"")
        assert [status for status, _ in answers(connection, 1)] == [200]


def test_many_requests_on_one_connection_do_not_count_as_headers(connection: socket.socket, token: bytes) -> None:
    pipelined = request(token, b'{"features": ' + b" " * 20_000 + FEATURES[13:])
    for _ in range(3):
        connection.sendall(pipelined * 5)
        assert [status for status, _ in answers(connection, 5)] == [200] * 5


def test_a_head_is_parsed_once_and_each_request_with_it_is_checked(
    running_api: Api, connection: socket.socket, token: bytes
) -> None:
    whole = request(token, extra=b"X-Test: known head\r\n")
    other = whole.replace(b'"check_ins"', b'"check_INS"')
    for sent, status in ((whole, 200), (whole, 200), (other, 422), (whole, 200)):
        connection.sendall(sent)
        assert [status for status, _ in answers(connection, 1)] == [status]
    connection.sendall(whole[:-1])
    time.sleep(0.01)
    connection.sendall(whole[-1:] + whole + whole[:-1])
    time.sleep(0.01)
    connection.sendall(whole[-1:])
    assert [status for status, _ in answers(connection, 3)] == [200] * 3


def test_a_known_head_does_not_outlive_its_credential(running_api: Api, connection: socket.socket) -> None:
    headers = running_api.headers("app")
    whole = request(headers["Authorization"].encode())
    for _ in range(3):
        connection.sendall(whole)
        assert [status for status, _ in answers(connection, 1)] == [200]
    assert running_api.client.post("/auth/logout", headers=headers).status_code == 204
    until(lambda: _is_refused(connection, whole), "the token is revoked", seconds=10)


def _is_refused(connection: socket.socket, whole: bytes) -> bool:
    connection.sendall(whole)
    return [status for status, _ in answers(connection, 1)] == [401]


def test_chunked_bodies_and_their_trailers_go_to_the_application(connection: socket.socket, token: bytes) -> None:
    head = request(token, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(FEATURES), FEATURES)
    connection.sendall(head + chunk + b"Content-Encoding: gzip\r\n\r\n")
    assert [status for status, _ in answers(connection, 1)] == [200]


def test_a_client_may_wait_for_100_continue(connection: socket.socket, token: bytes) -> None:
    head, _, body = request(token, extra=b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert [status for status, _ in answers(connection, 1)] == [200]


@pytest.mark.parametrize(
    ("version", "extra"), [(b"1.0", b""), (b"1.0", b"Connection: keep-alive\r\n"), (b"1.1", b"Connection: close\r\n")]
)
def test_the_connection_is_closed_if_the_client_wants_it(
    connection: socket.socket, token: bytes, version: bytes, extra: bytes
) -> None:
    connection.sendall(request(token, version=version, extra=extra))
    ((status, head),) = answers(connection, 1)
    assert status == 200
    assert b"connection: close" in head
    assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Host: localhost", b"Host: elsewhere", 400),
        (b"Host: localhost\r\n", b"", 400),
        (b"Bearer ", b"Bearer x", 401),
        (b"POST", b"PUT", 405),
        (b"/predict", b"/predict?x=1", 422),
        (b"application/json", b"text/plain", 422),
        (b"Content-Type", b"Content-Encoding: gzip\r\nContent-Type", 415),
    ],
)
def test_other_requests_go_to_the_application(
    connection: socket.socket, token: bytes, old: bytes, new: bytes, status: int
) -> None:
    changed = request(token).replace(old, new, 1)
    connection.sendall(changed)
    assert [status for status, _ in answers(connection, 1)] == [status]


def test_a_body_that_stops_halfway_is_limited_like_any_other(connection: socket.socket, token: bytes) -> None:
    connection.sendall(request(token)[:-10])
    time.sleep(0.1)
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b""


def test_a_caller_beyond_its_limit_is_refused_as_by_the_guard(
    running_api: Api, connection: socket.socket, token: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, limits = RatePlan("tiny", 0.01, 3), running_api.services.rate_limits
    monkeypatch.setattr(limits.plans, "of", lambda _name: plan)
    connection.sendall(request(token) * 6)
    try:
        assert sorted(status for status, _ in answers(connection, 6)) == [200, 200, 200, 429, 429, 429]
    finally:
        redis.Redis.from_url(running_api.settings.require("redis_url")).delete("okr:rate:user:app")


class Always:
    """A fast path that answers every request with its body."""

    def read_head(self, headers: Sequence[Header]) -> Head | None:
        found = dict(headers)
        return Head("", found.get(b"x-request-id"), None)

    def answer(self, head: Head, body: bytes) -> tuple[bytes, bytes] | None:
        return b"content-length: %d\r\n\r\n" % len(body), body


async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer 418 to all other requests."""
    await send({"type": "http.response.start", "status": 418, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def always() -> Iterator[tuple[FastApplication, int]]:
    """A server that closes connections which are idle for a second."""
    app, port = FastApplication(refuse, Always()), choose(set())
    config = uvicorn.Config(
        app, port=port, http=limited(ConnectionLimits()), ws="none", access_log=False, lifespan="off",
        timeout_keep_alive=1, proxy_headers=False, log_config=LOGGING_CONFIG,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "the server has started", pause=0.01)
    yield app, port
    server.should_exit = True
    thread.join(10)


def test_an_idle_connection_is_closed_a_while_after_its_last_request(always: tuple[FastApplication, int]) -> None:
    with socket.create_connection(("127.0.0.1", always[1]), timeout=20) as connection:
        for _ in range(4):
            connection.sendall(request(b"x"))
            assert [status for status, _ in answers(connection, 1)] == [200]
            time.sleep(0.4)
        started = time.monotonic()
        assert connection.recv(1) == b""
        assert time.monotonic() - started > 0.4


def test_the_remembered_heads_are_bounded_and_have_no_ids(always: tuple[FastApplication, int]) -> None:
    app, port = always
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for extra in (b"X-Request-ID: request-number-1\r\n", b"X: %b\r\n" % (b"x" * LARGEST_HEAD_BYTES)):
            connection.sendall(request(b"x", extra=extra))
            answers(connection, 1)
        assert not app.heads
        for number in range(MOST_HEADS + 10):
            connection.sendall(request(b"x", extra=b"X: %d\r\n" % number))
            answers(connection, 1)
        assert len(app.heads) == 10
